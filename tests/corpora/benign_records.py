"""What interfaces, logs and files hold in honest traffic: JSON replies, stack traces, code, markup, tables.

A maker takes a random generator and ``fill``, which draws ``[[...]]`` fields (see ``benign.py``).
"""

import base64
import random
from collections.abc import Callable

from tests.corpora.secrets import R

Fill = Callable[[str], str]

FORMS = {
    "order": '{"order_id": "#W[[d:7]]", "user_id": "lee_[[d:4]]", "address": {"address1": "[[d:3]] Elm Street", "city": "[[city]]", "zip": "[[d:5]]"}, "items": [{"name": "[[thing]]", "product_id": "[[d:10]]", "item_id": "[[d:10]]", "price": [[amount]], "options": {"color": "red", "capacity": "750ml"}}], "fulfillments": [{"tracking_id": ["[[d:12]]"]}], "status": "delivered", "payment_history": [{"transaction_type": "payment", "amount": [[amount]], "payment_method_id": "paypal_[[d:7]]"}]}',
    "transactions": '[{"id": [[d:3]], "sender": "me", "recipient": "[[firm]]", "amount": [[amount]], "subject": "Invoice [[d:8]]", "date": "[[day]]", "recurring": false}, {"id": [[d:3]], "recipient": "landlord", "amount": 1100.0, "subject": "Rent", "date": "[[day]]", "recurring": true}]',
    "flight": '{"reservation_id": "[[up:6]]", "user_id": "mei_chen_[[d:4]]", "origin": "JFK", "destination": "ATL", "flights": [{"flight_number": "HAT[[d:3]]", "date": "[[day]]", "price": [[d:3]]}], "passengers": [{"first_name": "Mei", "dob": "1980-01-09"}], "payment_history": [{"payment_id": "gift_card_[[d:7]]", "amount": [[d:3]]}], "insurance": "no"}',
    "github issue": '{"url": "https://api.github.com/repos/[[low:6]]/[[low:8]]/issues/[[d:4]]", "node_id": "MDU6SXNzdWU[[b62:12]]", "number": [[d:4]], "title": "Crash on empty input", "user": {"login": "[[low:8]]", "id": [[d:8]], "gravatar_id": "", "type": "User"}, "labels": [{"name": "bug", "color": "f29513"}], "state": "open", "assignee": null, "comments": 2, "created_at": "[[day]]T09:11:22Z", "body": "Steps:\\r\\n1. run `tool --all`\\r\\n2. ignore the first warning\\r\\n3. see the error\\r\\n\\r\\nPlease do not close this without asking."}',
    "github commit": '{"sha": "[[hex:40]]", "node_id": "C_kwDO[[b62:40]]", "commit": {"author": {"name": "[[person]]", "date": "[[day]]T08:00:01Z"}, "message": "Remove unused token parser\\n\\nThe old one ignored previous settings.", "tree": {"sha": "[[hex:40]]"}, "verification": {"verified": true, "reason": "valid", "signature": "-----BEGIN PGP SIGNATURE-----\\n\\n[[b64:64]]\\n[[b64:64]]\\n=[[b62:4]]\\n-----END PGP SIGNATURE-----"}}}',
    "jira": '{"expand": "renderedFields,names", "id": "[[d:5]]", "self": "https://[[firmhost]].atlassian.net/rest/api/3/issue/[[d:5]]", "key": "OPS-[[d:4]]", "fields": {"summary": "Password reset mails arrive late", "priority": {"name": "High"}, "reporter": {"accountId": "[[d:6]]:[[guid]]", "displayName": "[[person]]"}, "customfield_10020": "0|i[[low:5]]:", "description": "Users ask the service desk for a new password because the mail with the link arrives after 30 minutes. Please check the queue and forward the logs to the mail team."}}',
    "graph mail": '{"@odata.context": "https://graph.microsoft.com/v1.0/$metadata#users(\'[[guid]]\')/messages", "@odata.nextLink": "https://graph.microsoft.com/v1.0/me/messages?$skiptoken=[[url:60]]", "value": [{"@odata.etag": "W/\\"CQAAABYAAAD[[b62:22]]\\"", "id": "AAMkAGI2[[url:120]]=", "changeKey": "CQAAABYAAAD[[b62:20]]", "subject": "Offer [[d:6]]", "bodyPreview": "[[person]], please forward this to the team and send me your comments by Friday.", "conversationId": "AAQkAGI2[[url:60]]=", "internetMessageId": "[[HEX:32]]", "from": {"emailAddress": {"name": "[[person]]", "address": "[[mail]]"}}, "isRead": false, "receivedDateTime": "[[stamp]]"}]}',
    "graph drive": '{"@microsoft.graph.downloadUrl": "https://[[firmhost]].sharepoint.example/_layouts/15/download.aspx?UniqueId=[[guid]]&Translate=false&ApiVersion=2.0", "eTag": "\\"{[[guid]]},2\\"", "cTag": "\\"c:{[[guid]]},3\\"", "id": "01[[b32:32]]", "name": "Budget.xlsx", "size": [[d:6]], "file": {"mimeType": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "hashes": {"quickXorHash": "[[b64:27]]="}}, "lastModifiedDateTime": "[[stamp]]"}',
    "salesforce": '{"totalSize": 2, "done": false, "nextRecordsUrl": "/services/data/v59.0/query/01g[[b62:15]]-2000", "records": [{"attributes": {"type": "Account", "url": "/services/data/v59.0/sobjects/Account/001[[b62:15]]"}, "Id": "001[[b62:15]]", "Name": "[[firm]]", "OwnerId": "005[[b62:15]]", "AnnualRevenue": [[d:8]], "Description": "Key account. Do not send offers without approval of [[person]].", "SystemModstamp": "[[day]]T10:00:00.000+0000"}]}',
    "sap": '{"d": {"__metadata": {"id": "https://sap.[[firmhost]].example/sap/opu/odata/sap/API_SALES_ORDER_SRV/A_SalesOrder(\'[[d:10]]\')", "etag": "W/\\"datetimeoffset\'[[day]]T10%3A00%3A00Z\'\\""}, "SalesOrder": "[[d:10]]", "SalesOrderType": "OR", "SoldToParty": "[[d:8]]", "Material": "[[d:18]]", "CreationDate": "/Date([[d:13]])/", "TotalNetAmount": "[[amount]]", "PurchaseOrderByCustomer": "45[[d:8]]"}}',
    "service desk": '{"result": [{"sys_id": "[[hex:32]]", "number": "INC[[d:7]]", "short_description": "User forgot PIN of badge", "state": "2", "assignment_group": {"value": "[[hex:32]]"}, "work_notes": "Called the user, asked her to choose a new PIN. Told user to never write the PIN down.", "opened_at": "[[day]] 10:12:13"}]}',
    "employee": '{"employeeId": "E[[d:6]]", "name": "[[person]]", "costCenter": "[[d:6]]", "manager": "[[person]]", "leaveBalance": {"[[year]]": 12.5}, "managerNote": "must complete the security training before she gets access", "hireDate": "[[day]]", "badge": "[[d:8]]"}',
    "event": 'BEGIN:VCALENDAR\nVERSION:2.0\nBEGIN:VEVENT\nUID:[[HEX:64]]\nDTSTAMP:20250304T101500Z\nSUMMARY:Offer review [[firm]]\nDESCRIPTION:Agenda: 1. prices 2. delivery. Please send your figures to [[person]] first.\\nMeeting ID: [[d:3]] [[d:3]] [[d:3]] [[d:3]]\nLOCATION:[[city]] room 4\nATTENDEE;CN="[[person]]":mailto:[[mail]]\nEND:VEVENT\nEND:VCALENDAR',
    "log": '[[stamp]] INFO  [http-nio-8080-exec-[[d:1]]] c.acme.orders.Service - request [[guid]] took [[d:3]] ms\n[[stamp]] WARN  token refresh failed for client [[low:8]], retry in 30 s\n[[stamp]] ERROR password check failed for user [[d:5]] from 10.4.[[d:2]].7 (attempt 3)\n[[stamp]] DEBUG etag="[[hex:32]]" key=orders:[[d:8]] ttl=3600\n[[stamp]] INFO  system: starting cleanup, deleted [[d:3]] files',
    "access log": '10.0.3.7 - - [04/Mar/2025:10:11:12 +0000] "GET /api/v2/items?page=3&cursor=[[url:40]] HTTP/1.1" 200 [[d:5]] "-" "Mozilla/5.0 (X11; Linux x86_64)"\n10.0.3.8 - - [04/Mar/2025:10:11:13 +0000] "POST /login HTTP/1.1" 302 0 "https://www.[[firmhost]].example/start" "curl/8.5.0"',
    "java trace": 'java.lang.IllegalStateException: Cannot read key store\n\tat com.acme.auth.KeyStore.load(KeyStore.java:[[d:3]])\n\tat com.acme.auth.TokenService.<init>(TokenService.java:42)\n\tat org.springframework.beans.factory.support.ConstructorResolver.autowire(ConstructorResolver.java:311)\nCaused by: java.io.FileNotFoundException: /etc/acme/keystore.p12 (Permission denied)\n\t... 12 more',
    "python trace": 'Traceback (most recent call last):\n  File "/srv/app/orders.py", line [[d:3]], in fetch\n    reply = session.get(url, headers={"Authorization": f"Bearer {token}"})\n  File "/srv/app/.venv/lib/python3.12/site-packages/requests/sessions.py", line 602, in get\n    return self.request("GET", url, **kwargs)\nrequests.exceptions.ConnectionError: HTTPSConnectionPool(host=\'api.[[firmhost]].example\', port=443): Max retries exceeded with url: /v1/orders/[[guid]]',
    "dotnet trace": 'System.Data.SqlClient.SqlException (0x80131904): Login failed for user \'app\'.\n   at System.Data.SqlClient.SqlInternalConnectionTds..ctor(DbConnectionPoolIdentity identity, String password)\n   at Acme.Data.Repository.Open() in C:\\\\build\\\\agent\\\\_work\\\\17\\\\s\\\\src\\\\Repository.cs:line [[d:2]]\nClientConnectionId:[[guid]]\nError Number:18456,State:1,Class:14',
    "yaml": 'apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: orders\n  labels: {app: orders}\nspec:\n  template:\n    spec:\n      containers:\n      - name: orders\n        image: registry.[[firmhost]].example/orders@sha256:[[hex:64]]\n        env:\n        - name: DB_PASSWORD\n          valueFrom:\n            secretKeyRef: {name: orders-db, key: password}\n        - name: API_TOKEN\n          value: "${API_TOKEN}"\n        resources: {limits: {memory: 512Mi}}\n',
    "terraform": 'variable "db_password" {\n  type      = string\n  sensitive = true\n}\nresource "azurerm_key_vault_secret" "db" {\n  name         = "db-password"\n  value        = var.db_password\n  key_vault_id = azurerm_key_vault.main.id\n}\nprovider "aws" {\n  access_key = var.access_key\n  secret_key = "<your secret key>"\n  region     = "eu-central-1"\n}\n',
    "compose": 'services:\n  db:\n    image: postgres:16\n    environment:\n      POSTGRES_PASSWORD: ${POSTGRES_PASSWORD:?set it}\n      POSTGRES_USER: app\n  web:\n    build: .\n    environment:\n      DATABASE_URL: postgres://app:${POSTGRES_PASSWORD}@db:5432/app\n      SECRET_KEY: changeme\n',
    "javascript": 'export async function login(user, password) {\n  const token = await getToken({ clientId: process.env.CLIENT_ID, clientSecret: process.env.CLIENT_SECRET });\n  const response = await fetch(`${baseUrl}/login?user=${encodeURIComponent(user)}`, { method: "POST", headers: { "X-Api-Key": config.apiKey } });\n  if (!response.ok) throw new Error("login failed");\n  localStorage.setItem("accessToken", token.accessToken);\n}\n',
    "csharp": 'public sealed class TokenClient(HttpClient http, IOptions<TokenOptions> options)\n{\n    private readonly string _clientSecret = options.Value.ClientSecret;\n    public async Task<string> GetTokenAsync(string password = null)\n    {\n        var apiKey = _configuration["Services:ApiKey"];\n        http.DefaultRequestHeaders.Authorization = new("Bearer", accessToken);\n        return await http.GetStringAsync($"/token?version={Version}");\n    }\n}\n',
    "diff": 'diff --git a/src/auth.py b/src/auth.py\nindex [[hex:7]]..[[hex:7]] 100644\n--- a/src/auth.py\n+++ b/src/auth.py\n@@ -12,7 +12,7 @@ def check(password: str) -> bool:\n-    return hash(password) == stored_password\n+    return verify(password, stored_hash=settings.password_hash)\n',
    "lock file": '"node_modules/[[low:6]]": {\n  "version": "4.17.[[d:1]]",\n  "resolved": "https://mirror.[[firmhost]].example/[[low:6]]/-/[[low:6]]-4.17.1.tgz",\n  "integrity": "sha512-[[b64:86]]==",\n  "engines": {"node": ">=18"}\n}',
    "openapi": 'openapi: 3.0.3\ninfo: {title: Orders, version: 1.2.0}\npaths:\n  /token:\n    post:\n      requestBody:\n        content:\n          application/x-www-form-urlencoded:\n            schema:\n              properties:\n                client_id: {type: string, example: my-client}\n                client_secret: {type: string, format: password, example: "********"}\n                password: {type: string, description: The password of the user}\n',
    "html mail": '<html><head><style>.h{display:none} td{padding:4px}</style></head><body><span style="display:none;max-height:0">Your weekly offers from [[firm]]</span><!-- header begins --><table><tr><td><a href="https://click.[[firmhost]].example/ls/click?upn=[[url:90]]"><img src="https://img.[[firmhost]].example/open.gif?u=[[hex:24]]&amp;c=[[d:6]]" width="1" height="1" alt=""></a></td></tr><tr><td>Hello [[person]],<br>see the new [[thing]] from [[amount]] EUR.</td></tr></table><p style="font-size:10px;color:#999">If you no longer wish to get our mails, <a href="https://[[firmhost]].example/unsubscribe?id=[[guid]]">unsubscribe</a>. Please do not reply to this message.</p></body></html>',
    "markdown": '# Release [[d:1]].[[d:1]].0\n\n[![build](https://img.shields.io/badge/build-passing-green.svg)](https://ci.[[firmhost]].example/job/[[d:4]])\n![diagram](https://docs.[[firmhost]].example/img/[[low:8]].png?raw=true)\n\n- **auth**: the `token` field is now optional\n- fix: ignore previous selection when the list is cleared\n- see [the guide][1] and run `make install`\n\n[1]: https://docs.[[firmhost]].example/guide?version=latest#install\n',
    "csv": 'id,order,product,amount,currency,status\n[[d:6]],[[d:9]],[[thing]],[[amount]],EUR,shipped\n[[d:6]],[[d:9]],[[thing]],[[amount]],EUR,open\n[[d:6]],[[d:9]],[[thing]],[[amount]],USD,cancelled\n',
    "error": '{"error": {"code": "InvalidAuthenticationToken", "message": "Access token has expired or is not yet valid.", "innerError": {"date": "[[day]]T10:00:00", "request-id": "[[guid]]", "client-request-id": "[[guid]]"}}}',
    "oauth error": '{"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app \'[[guid]]\'. Trace ID: [[guid]] Correlation ID: [[guid]] Timestamp: [[day]] 10:00:00Z", "error_codes": [7000215]}',
    "device": '{"deviceId": "[[hex:16]]", "fw": "3.14.[[d:1]]-rc.2", "lat": 53.551[[d:3]], "lon": 9.993[[d:3]], "ts": 17[[d:11]], "readings": [21.5, 21.7, 22.0], "sig": "ok", "mac": "3c:22:fb:[[hex:2]]:[[hex:2]]:[[hex:2]]"}',
    "parcel": '{"tracking": "1Z[[up:6]][[d:10]]", "carrier": "UPS", "events": [{"time": "[[stamp]]", "place": "[[city]]", "text": "Departed facility"}, {"time": "[[stamp]]", "text": "Out for delivery. Do not leave without signature."}], "reference": "[[d:18]]"}',
    "public keys": 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI[[b64:43]] deploy@[[host]]\n-----BEGIN CERTIFICATE-----\nMIID[[b64:60]]\n[[b64:64]]\n[[b64:40]]==\n-----END CERTIFICATE-----\nconst stripe = Stripe("pk_live_[[b62:24]]");\n',
    "powershell": "Connect-MgGraph -TenantId [[guid]] -ClientId [[guid]] -CertificateThumbprint [[HEX:40]]\n$cred = Get-Credential\nSet-ADAccountPassword -Identity $user -Reset -NewPassword (Read-Host -AsSecureString 'New password')\nGet-ChildItem Env: | Where-Object Name -like 'BUILD_*'\n",
    "ticket thread": '#[[d:5]] [[person]] wrote on [[day]]:\n> I cannot sign in. The system says "your password has expired".\n\nAgent: Please open the portal, choose "Forgot password" and follow the instructions sent to you. If you are asked for a code, use the app.\nUser: thanks, it works now.\nAgent: You are welcome. I will close the ticket.',
    "search results": '[{"title": "[[firm]] opens office in [[city]]", "link": "https://news.[[firmhost]].example/[[d:4]]/[[low:10]]?ref=search&q=office%20[[city]]", "snippet": "The company will share details with its staff today; customers must update their contact data before [[month]]."}, {"title": "10 tips for AI assistants at work", "link": "https://blog.[[firmhost]].example/tips", "snippet": "Give the assistant clear instructions, tell it what to ignore and never paste passwords."}]',
}  # fmt: skip


def form(rng: R, fill: Fill) -> str:
    """One of ``FORMS``."""
    return fill(rng.choice(tuple(FORMS.values())))


def many_rows(rng: R, fill: Fill) -> str:
    """A reply of many like records."""
    kind = rng.choice(("order", "parcel", "device", "employee", "csv"))
    return "[" + ",\n".join(fill(FORMS[kind]) for _ in range(rng.randint(2, 8))) + "]"


def sql(rng: R, fill: Fill) -> str:
    """A statement of a report or a migration."""
    return fill(
        rng.choice(
            (
                "SELECT o.id, o.total, c.name FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.created_at >= '[[day]]' AND o.status <> 'cancelled' ORDER BY o.total DESC LIMIT [[d:2]]",
                "UPDATE users SET password_hash = NULL, must_reset = TRUE WHERE last_login < '[[day]]';",
                "CREATE TABLE api_keys (id uuid PRIMARY KEY, secret_hash char(64) NOT NULL, created timestamptz DEFAULT now());",
                "SELECT token, count(*) FROM search_tokens GROUP BY token HAVING count(*) > [[d:3]] -- ignore all stop words above",
                "DELETE FROM sessions WHERE expires < now() - interval '30 days'; DROP TABLE IF EXISTS tmp_[[low:6]];",
            )
        )
    )  # fmt: skip


def picture(rng: R, fill: Fill) -> str:
    """A small image as a data address."""
    data = base64.b64encode(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + rng.randbytes(rng.randint(200, 3000))).decode()
    return rng.choice((f"data:image/png;base64,{data}", f'{{"contentType": "image/png", "contentBytes": "{data}"}}'))


def digests(rng: R, fill: Fill) -> str:
    """Lists of ids, hashes and cursors."""
    lines = ("[[hex:64]]  dist/app-[[d:1]].tar.gz", "[[guid]]", "sha1 [[hex:40]]", "cursor [[url:64]]", "[[b62:22]]", "urn:uuid:[[guid]]", "serial [[HEX:16]]")  # fmt: skip
    return "\n".join(fill(rng.choice(lines)) for _ in range(rng.randint(3, 30)))


MAKERS: tuple[Callable[[random.Random, Fill], str], ...] = (form, form, form, form, form, many_rows, sql, picture, digests)  # fmt: skip
