"""Texts that hold no secret but look as if: ids, digests, cursors, placeholders, code, prose; deterministic by seed."""

import base64
import random
from collections.abc import Callable, Iterator

from tests.corpora.secrets import R, fill

FILLED = (
    "order {up:3}-{nz:3}{d:5} shipped with UPS, tracking 1Z{up:6}{d:10}",
    "Tracking number: 9400 1{d:3} {d:4} {d:4} {d:4} {d:2}, weight 2.4 kg",
    '{"id": "{uuid}", "etag": "\\"{hex:32}\\"", "count": 12}',
    '{"orderId": "{d:10}", "userId": "usr_{b62:12}", "cartId": "{uuid}"}',
    "commit {hex:40}\nAuthor: Ann <ann@acme.test>\n\n    Fix the password reset page",
    "sha256:{hex:64}  release.tar.gz",
    "md5 {hex:32} and sha1 {hex:40} match",
    "integrity sha512-{b64:86}==",
    "Merge {hex:7} into main; see #{d:4}",
    '"nextPageToken": "{url:60}"',
    "nextPageToken={b62:80}&pageSize=50",
    '"@odata.nextLink": "https://graph.acme.test/v1.0/users?$skiptoken={b62:90}"',
    '"continuationToken": "{b64:48}", "hasMore": true',
    "cursor: {b64:40}==",
    "x-ms-correlation-id: {uuid}\nx-request-id: {hex:32}",
    "traceparent: 00-{hex:32}-{hex:16}-01",
    "ETag: W/\"{hex:40}\"",
    "If-None-Match: \"{b62:27}\"",
    "<input type=\"hidden\" name=\"csrf_token\" value=\"{b62:40}\">",
    "X-CSRF-Token: {b62:43}",
    "__RequestVerificationToken={url:92}",
    "tenant {uuid}, subscription {uuid}, resource group rg-{low:6}",
    "/subscriptions/{uuid}/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv-{low:5}/secrets/db-password/{hex:32}",
    "arn:aws:iam::{d:12}:role/deploy and arn:aws:secretsmanager:eu-west-1:{d:12}:secret:prod/db-{b62:6}",
    "session {uuid} ended after {d:3} s; token_count: {d:4}, max_tokens: 512",
    "prompt_tokens={d:4} completion_tokens={d:3} total_tokens={d:4}",
    "Your verification code is {d:6}. It expires in 10 minutes.",
    "PNR {up:6}, ticket 220{d:10}, seat 14C",
    "IBAN DE{d:20}, BIC DEUTDEFF, amount {d:3}.{d:2} EUR",
    "invoice INV-{d:8}, due 2025-0{nz:1}-1{d:1}, PO {d:10}",
    "ISBN 978-{d:10}, SKU {up:4}-{up:6}-{d:2}",
    "image data:image/png;base64,iVBORw0KGgo{b64:1200}",
    "kid={hex:40}; x5t={url:27}; alg=RS256",
    '{"kty":"RSA","e":"AQAB","kid":"{b62:12}","n":"{url:342}"}',
    "-----BEGIN CERTIFICATE-----\n{b64:64}\n{b64:64}\n{b64:64}\n-----END CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY-----\n{b64:64}\n{b64:64}\n-----END PUBLIC KEY-----",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{b64:43} ann@acme",
    "SHA256:{b64:43} ann@acme (ED25519)",
    "public_key: {b64:44}",
    "publicKey={hex:64}",
    "pk_live_{b62:24}",
    "NEXT_PUBLIC_STRIPE_KEY=pk_test_{b62:24}",
    "recaptcha site key 6L{url:38}",
    "phc_{b62:43}",
    "https://{hex:32}@o{d:6}.ingest.sentry.test/{d:6}",
    "https://cdn.acme.test/assets/app.{hex:20}.js?v={hex:8}",
    "https://acme.sharepoint.test/:w:/s/team/E{url:44}?e={b62:6}",
    "https://meet.acme.test/{low:3}-{low:4}-{low:3}?authuser=0&hs={d:3}",
    "https://www.youtube.test/watch?v={url:11}&list=PL{url:32}",
    "https://click.acme.test/unsubscribe?u={hex:20}&id={hex:10}",
    "message id <{b62:24}.{b62:6}@mail.acme.test>",
    "AAMkAG{url:140}=",
    '{"conversationId": "19:{hex:32}@thread.tacv2", "messageId": "{d:13}"}',
    "000001{b62:0}7f8a2b{hex:10} bytes=0x{hex:8} ptr=0x{hex:12}",
    "password_hash: $2b$12${b62:53}",
    "passwordHash=pbkdf2_sha256$260000${b62:12}${b64:43}=",
    "API_VERSION={hex:40}",
    "secret_name: prod-db-{low:4}",
    "secret id {uuid} was rotated",
    "key id AROA{b32:16} assumed the role",
    "KeyId: {uuid}, KeyState: Enabled",
    "idempotency_key: {uuid}",
    "partition_key={b62:24}",
    "lock token {uuid}",
    "0x{hex:40} received 0.42 ETH in tx 0x{hex:64}",
    "wallet bc1q{low:38}",
    "2025-03-0{nz:1}T1{d:1}:22:31.{d:6}Z INFO req={uuid} user={d:6} path=/api/v2/items/{hex:24} status=200 dur={d:3}ms",
    "Patient MRN {d:8}, NDC {d:5}-{d:4}-{d:2}, lot {up:8}",
    "VIN WVWZZZ{up:11}, plate B-{up:2} {d:4}",
    "row {d:3}: {b62:8};{b62:10};{d:5}",
    "model gpt-4o-2024-08-06, deployment acme-{low:6}, api-version=2024-10-21",
    "container sha256:{hex:64} pulled from registry.acme.test/app@sha256:{hex:64}",
    "version 1.{d:2}.{d:1}-rc.1+build.{hex:7}",
    "Windows product id 00330-80000-00000-AA{d:3}",
    "MAC 00:1a:2b:{hex:2}:{hex:2}:{hex:2}, serial {up:12}",
    "bucket key: exports/2025/03/{uuid}.parquet",
    "s3://acme-logs/AWSLogs/{d:12}/elasticloadbalancing/{hex:16}.gz",
    "page_token,count\n{b62:32},4\n{b62:32},9\n",
    "password_hash,user\n{hex:64},ann\n{hex:64},bob\n",
    "id,sku,price\n{d:9},{up:3}-{d:5},{d:3}.{d:2}\n{d:9},{up:3}-{d:5},{d:3}.{d:2}\n",
    "file upload token count: {d:3}, keyword: {b62:6}",
)  # fmt: skip
"""Ids and digests in their usual surroundings."""

FIXED = (
    "Please reset your password before Friday.",
    "Forgot your password? Use the link on the login page.",
    "password must be at least 12 characters and hold a digit",
    "password: required",
    "Password: minimum 8 characters, 1 number, 1 symbol",
    "password=<your-password>",
    "password: ${DB_PASSWORD}",
    "DB_PASSWORD={{ vault_db_password }}",
    "password = os.environ['DB_PASSWORD']",
    "const password = process.env.DB_PASSWORD;",
    "String password = config.getString(\"db.password\");",
    "password = getPassword(user)",
    "self.password = password",
    "if password == confirm_password: return True",
    "api_key=YOUR_API_KEY",
    "apiKey: 'your-api-key-here'",
    "token: '<token>'",
    "Authorization: Bearer <token>",
    "Authorization: Bearer $TOKEN",
    "Authorization: Bearer YOUR_ACCESS_TOKEN",
    "curl -u username:password https://api.acme.test",
    "curl -H \"X-API-Key: $API_KEY\" https://api.acme.test",
    "postgresql://user:password@localhost:5432/mydb",
    "mongodb://<user>:<password>@cluster0.acme.test/",
    "AccountKey=<account-key>;EndpointSuffix=core.windows.net",
    "AKIAIOSFODNN7EXAMPLE",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "sk_test_xxxxxxxxxxxxxxxxxxxxxxxx",
    "glpat-XXXXXXXXXXXXXXXXXXXX",
    "xoxb-xxxxxxxxxxxx-xxxxxxxxxxxx-xxxxxxxxxxxxxxxxxxxxxxxx",
    "def test_customer_pays_by_card_and_receives_the_confirmation_mail(): pass",
    "live_orders_are_exported_every_night_at_two_oclock",
    "tests/test_password_policy.py::test_password_must_have_a_digit_and_a_symbol PASSED",
    "The monkey typed a keyword; the turkey liked the hockey key chain.",
    '{"key": "ctrl+shift+down", "command": "cursorColumnSelectDown"}',
    '{"primaryKey": "customer_id", "foreignKey": "order_customer_id"}',
    "sort_key=created_at&secondary_key=updated_at",
    "Das Passwort muss mindestens 12 Zeichen haben, sonst wird es abgelehnt.",
    "Bitte setzen Sie Ihr Passwort zurück: Einstellungen > Sicherheit > Passwort ändern.",
    "Le mot de passe est obligatoire et doit contenir un chiffre.",
    "Votre mot de passe a été modifié le 12/03/2025 à 10h22.",
    "La contraseña es obligatoria; palabra clave: Primavera2025",
    "A senha deve ter 8 caracteres. Palavra-chave: Promocao2025",
    "La password è scaduta. Parola d'ordine: silenzio",
    "Hasło jest wymagane. Proszę zmienić hasło w ustawieniach.",
    "Het wachtwoord is verlopen, vraag een nieuw wachtwoord aan.",
    "パスワードを忘れた場合はこちら。パスワードは8文字以上で入力してください。",
    "密码必须至少8个字符，请重置您的密码。",
    "Пароль должен содержать не менее 12 символов.",
    "The secret to a good sauce is patience: add the wine slowly.",
    "Secret Santa: Alice draws Bob, budget 20 EUR.",
    "The token economy grew by 14 % in 2024; tokens: 1,200.",
    "Basic information about your account: name, address, phone.",
    "basic authentication-is-not-supported-any-longer",
    "The bearer of this letter may enter the building.",
    "Login: see https://wiki.acme.test/Onboarding2025/Step-1",
    "credentials: issued by the service desk / valid for 30 days",
    "SecretStr | None = Field(default=None, alias='clientSecret')",
    "client_secret: str = Form(...)",
    "resource \"azurerm_key_vault_secret\" \"db\" { name = \"db-password\" value = var.db_password }",
    "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\nstringData: {}\n",
    "env:\n- name: DB_PASSWORD\n  valueFrom:\n    secretKeyRef:\n      name: db\n      key: password\n",
    "secrets:\n  token: ${{ secrets.GITHUB_TOKEN }}\n",
    "password: !vault |\n  (kept in the vault)",
    "password: '********'",
    "Password: [REDACTED]",
    "pwd: /home/ann/projects/api",
    "pass: 12, fail: 3, skipped: 0",
    "passphrase: see vault entry Team-Ops/DB-Prod",
    "Access key: Alt+Shift+P; shortcut key: Ctrl+K",
    "Product key ideas: Easter-Bunny, Summer-Sale",
    "auth: oauth2, scope: openid profile email",
    "auth_type: ServicePrincipal, credential: DefaultAzureCredential",
    "private_key_path: /etc/ssl/private/server.key",
    "ssl_key_password=ssl_key_password, ssl_cert=ssl_cert",
    "user: admin, password: (same as before)",
    "Use the --password option to set it, or --password-stdin.",
    "docker run -p 8080:80 -e TZ=Europe/Berlin nginx:1.27",
    "mysql -h db.acme.test -P 3306 -u app -p crm",
    "ssh -p 2222 deploy@10.0.0.5",
    "net use Z: /user:corp *",
    "otpauth is a scheme for one-time passwords; the secret is shown once.",
    "recovery codes: none left, please create new ones",
    "seed phrase: never tell anybody your seed phrase or your recovery words",
    "secret is that they all have been there before and nobody can say when that was",
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
    "-----BEGIN RSA PRIVATE KEY-----\n...\n-----END RSA PRIVATE KEY-----",
    "grep -r 'BEGIN PRIVATE KEY' . || echo clean",
    "function o(e,t){return e.password===t.password&&e.token!==t.token}var k={api_key:void 0}",
    "SELECT password, token FROM users WHERE id = 42",
    "UPDATE users SET password = :new_password WHERE id = :id",
    "<label for=\"password\">Password</label><input type=\"password\" name=\"password\" placeholder=\"Password\">",
    "<Password></Password><Value>Standard-Lieferung</Value>",
    "The API key is stored in Azure Key Vault and rotated every 90 days.",
    "Your token is valid until 2025-12-31T23:59:59Z.",
    "Token: EUR/USD; Key: value; Secret: none",
    "Key Result 1: raise NPS from 42 to 50",
    "FeatureFlag.PasswordlessLogin = true",
    "password_reset_url: https://acme.test/reset/start",
    "fields = [\n    \"no_proxy\",\n    \"password\",\n    \"perl5lib_verbosity2\",\n]",
    "It is unique within one document, but pass\nthe value X5rT9xwZ2, not its name, to the call",
    "setting,password,note\nlength,required,12 characters\nhistory,10 kept,since 2024\n",
    "token,lemma,count\nrunning,run,1204\nforgotten,forget,77\n",
    "How to change a password - Windows11 and Office365",
    "user guide / pass Windows11 setup; boarding pass XK83HD92 for gate 12",
    "u: 12.5 m/s p: 1013.25hPa T: 21.4",
    "Use a phrase as password; the wifi key is on the board in room 4.2",
    "client_secret: kv-prod-client-secret-48213",
    "git clone https://anna-maria.schmidt@git.acme.test/team/repository.git",
    "enable password protection for the file; enable secret 5 rotation",
    "the user is identified by 'email' or by 'customer_number2'",
    "The passenger: Miller-Jones2 has seat 14C; the compass points north.",
    "Please bypass the queue: ticket INC0012345, user ann.smith@acme.test",
)  # fmt: skip
"""Advice, documentation, code and templates about secrets."""

SURROUNDINGS = (
    "{v}",
    "Hi team,\n\n{v}\n\nBest,\nAnn",
    "Summarise this for the customer: {v}",
    '{{"result": "{v}"}}',
    "| 1 | {v} |",
    "text: {v}",
    "body: {v}",
    "> {v}\n\nThanks, that answers it.",
    "```\n{v}\n```",
)


def image(rng: R) -> str:
    """A large image in base64, as a tool returns it."""
    return "data:image/jpeg;base64," + base64.b64encode(rng.randbytes(rng.randint(500, 9000))).decode()


def log(rng: R) -> str:
    """Many lines of a service's log."""
    line = (
        "2025-03-04T10:{d:2}:{d:2}Z INFO [req-{uuid}] GET /v1/users/{hex:24}/tokens?page={d:2} 200 {d:3}ms user={d:6}"
    )
    return "\n".join(fill(line, rng) for _ in range(rng.randint(20, 200)))


def minified(rng: R) -> str:
    """Minified code about logins."""
    words = ("password", "token", "apiKey", "secret", "e.auth", "n.key", "t.value", "void 0", "null", "!0")
    return "".join(f"{fill('{let:1}', rng)}.{rng.choice(words)}={rng.choice(words)}," for _ in range(60))


def table(rng: R) -> str:
    """A comma separated export with ids."""
    rows = [fill("{uuid},{d:8},{hex:40},{b62:22},{up:10}", rng) for _ in range(rng.randint(10, 120))]
    return "id,order,digest,cursor,sku\n" + "\n".join(rows)


MADE: tuple[Callable[[R], str], ...] = (image, log, minified, table)


def texts(seed: int, count: int) -> Iterator[str]:
    """``count`` texts without a secret."""
    rng = random.Random(seed)
    pool = len(FILLED) + len(FIXED) + len(MADE)
    for number in range(count):
        index = number % pool
        if index < len(FILLED):
            text = fill(FILLED[index], rng)
        elif index < len(FILLED) + len(FIXED):
            text = FIXED[index - len(FILLED)]
        else:
            text = MADE[index - len(FILLED) - len(FIXED)](rng)
        yield rng.choice(SURROUNDINGS).format(v=text)
