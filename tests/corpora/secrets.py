"""Texts that hold a secret, generated from the formats' descriptions; deterministic by seed."""

import base64
import random
import re
import string
import urllib.parse
import uuid
from collections.abc import Callable, Iterator
from typing import NamedTuple

R = random.Random

ALPHABETS = {
    "b62": string.ascii_letters + string.digits,
    "url": string.ascii_letters + string.digits + "-_",
    "b64": string.ascii_letters + string.digits + "+/",
    "hex": "0123456789abcdef",
    "HEX": "0123456789ABCDEF",
    "d": string.digits,
    "let": string.ascii_letters,
    "low": string.ascii_lowercase + string.digits,
    "up": string.ascii_uppercase + string.digits,
    "b32": string.ascii_uppercase + "234567",
    "l32": string.ascii_lowercase + "234567",
    "aad": string.ascii_letters + string.digits + "~._-",
    "b58": "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz",
    "bech": "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L",
    "nz": "123456789",
}
_FIELD = re.compile(r"\{(uuid|" + "|".join(ALPHABETS) + r")(?::(\d+)(?:-(\d+))?)?\}")


class Sample(NamedTuple):
    """A text, and the kind of secret that it holds."""

    text: str
    kind: str


def fill(shape: str, rng: R) -> str:
    """``shape`` with every ``{alphabet:length}`` or ``{alphabet:least-most}`` drawn at random, and ``{uuid}``."""

    def draw(field: re.Match[str]) -> str:
        if field[1] == "uuid":
            return str(uuid.UUID(int=rng.getrandbits(128), version=4))
        length = rng.randint(int(field[2]), int(field[3] or field[2]))
        return "".join(rng.choices(ALPHABETS[field[1]], k=length))

    return _FIELD.sub(draw, shape)


SHAPES: dict[str, tuple[str, ...]] = {
    "azure storage": ("{b64:76}+ASt{b64:6}==", "{b64:76}+ABa{b64:6}==", "{b64:76}ACDb{b64:6}==", "{b64:76}+AMC{b64:6}==", "{b64:76}APIM{b64:6}=="),
    "azure bus": ("{b64:33}+ASb{b64:6}=", "{b64:33}+AEh{b64:6}=", "{b64:33}+ARm{b64:6}=", "{b64:33}AIoT{b64:6}=", "{b64:33}AzCa{b64:6}="),
    "azure 52": ("{b64:42}+ACR{b64:6}", "{b64:42}AzSe{b64:6}", "{url:44}AzFu{url:6}=="),
    "azure annotated": ("{b62:52}JQQJ99BEAC{b62:14}AZDO{b62:4}", "{b62:52}JQQJ99BFAC{b62:14}ACOG{b62:6}=="),
    "entra secret": ("{aad:3}8Q~{aad:34}", "{aad:3}7Q~{aad:31}"),
    "aws key id": ("AKIA{b32:16}", "ASIA{b32:16}", "ABIA{b32:16}", "ACCA{b32:16}"),
    "bedrock": ("ABSK{b64:109-200}", "bedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29t{b64:80}"),
    "google api": ("AIza{url:35}",),
    "google oauth": ("GOCSPX-{url:28}", "ya29.{url:60-160}", "1//0{url:60-100}"),
    "github": ("ghp_{b62:36}", "gho_{b62:36}", "ghu_{b62:36}", "ghs_{b62:36}", "ghr_{b62:36}", "github_pat_{b62:22}_{b62:59}"),
    "gitlab": ("glpat-{url:20}", "glpat-{url:27}.01{low:7}", "gldt-{url:20}", "glrt-{url:20}", "glptt-{hex:40}", "glft-{url:20}", "glsoat-{url:20}", "gloas-{hex:64}", "glagent-{url:50}", "glimt-{url:25}", "glcbt-1a_{url:20}", "GR1348941{url:20}"),
    "atlassian": ("ATATT3xFfG{url:172}={HEX:8}", "ATCTT3xFfG{url:172}={HEX:8}", "ATBB{b62:32}"),
    "npm": ("npm_{b62:36}",),
    "pypi": ("pypi-AgEIcHlwaS5vcmc{url:70-180}",),
    "registries": ("rubygems_{hex:48}", "oy2{l32:43}", "CLOJARS_{low:60}", "dckr_pat_{url:27}", "dckr_oat_{url:32}", "AKCp{b62:69}", "cmVmd{b62:59}"),
    "vault": ("hvs.{url:90-120}", "hvb.{url:138-200}", "s.{b62:24}"),
    "terraform": ("{b62:14}.atlasv1.{url:60-70}",),
    "slack": ("xoxb-{nz:12}-{nz:12}-{b62:24}", "xoxp-{nz:12}-{nz:12}-{nz:12}-{hex:32}", "xapp-1-A{up:10}-{nz:13}-{hex:64}", "https://hooks.slack.com/services/T{up:10}/B{up:10}/{b62:24}", "xoxe.xoxb-1-{b62:160}"),
    "telegram": ("{nz:9}:AA{url:33}", "{nz:10}:AA{url:33}"),
    "stripe": ("sk_live_{b62:24}", "sk_test_{b62:24}", "rk_live_{b62:24-99}", "whsec_{b62:32}", "sk_live_51{b62:97}"),
    "square": ("sq0atp-{url:22}", "sq0csp-{url:43}", "EAAA{url:60}"),
    "braintree": ("access_token$production${low:16}${hex:32}",),
    "shopify": ("shpat_{hex:32}", "shpca_{hex:32}", "shppa_{hex:32}", "shpss_{hex:32}"),
    "salesforce": ("00D{b62:12}!{b62:96}", "5Aep861{b62:80}", "3MVG9{b62:80}"),
    "saas": ("pat-na1-{uuid}", "pat-eu1-{uuid}", "ntn_{d:11}{b62:35}", "secret_{b62:43}", "lin_api_{b62:40}", "pat{b62:14}.{hex:64}", "1/{nz:16}:{hex:32}"),
    "figma and others": ("figd_{url:40}", "eyJtaXJvLm9yaWdpbiI6{b62:50}", "sl.{url:135}", "fio-u-{url:64}"),
    "mail": ("SK{hex:32}", "SG.{url:22}.{url:43}", "key-{hex:32}", "{hex:32}-us12", "{hex:32}-us4", "xkeysib-{hex:64}-{b62:16}"),
    "openai": ("sk-{b62:20}T3BlbkFJ{b62:20}", "sk-proj-{url:74}T3BlbkFJ{url:74}", "sk-svcacct-{url:58}T3BlbkFJ{url:58}", "sk-admin-{url:58}T3BlbkFJ{url:58}"),
    "anthropic": ("sk-ant-api03-{url:93}AA", "sk-ant-admin01-{url:93}AA"),
    "model hosts": ("hf_{let:34}", "api_org_{let:34}", "gsk_{b62:52}", "xai-{b62:80}", "pplx-{b62:48}", "r8_{b62:37}", "tvly-{b62:32}", "lsv2_pt_{hex:32}_{hex:10}", "pcsk_{b62:6}_{b62:63}", "sk-{hex:32}", "csk-{low:48}"),
    "databricks": ("dapi{hex:32}", "dapi{hex:32}-2"),
    "grafana": ("glsa_{b62:32}_{hex:8}", "glc_eyJvIjoi{b62:80}", "eyJrIjoi{b62:80}"),
    "monitoring": ("NRAK-{up:27}", "{hex:36}NRAL", "dt0c01.{b32:24}.{b32:64}", "sntryu_{hex:64}", "sntrys_eyJpYXQiOjE3{b62:90}"),
    "hosting": ("dop_v1_{hex:64}", "doo_v1_{hex:64}", "dor_v1_{hex:64}", "HRKU-AA{url:58}", "fo1_{url:43}", "fm2_{b64:120}", "nfp_{b62:36}", "sbp_{hex:40}", "pscale_tkn_{url:43}", "pscale_pw_{url:43}", "pscale_oauth_{url:32}", "rnd_{b62:32}", "v1.0-{hex:24}-{hex:146}"),
    "delivery": ("dp.pt.{b62:43}", "A3-{up:6}-{up:11}-{up:5}-{up:5}-{up:5}", "pul-{hex:40}", "pnu_{b62:36}", "PMAK-{hex:24}-{hex:34}", "API-{up:26}", "pat.{url:22}.{hex:24}.{b62:20}", "rdme_{low:70}", "ico-{b62:32}"),
    "1password": ("ops_eyJ{url:260}",),
    "openshift": ("sha256~{url:43}",),
    "age": ("AGE-SECRET-KEY-1{bech:58}",),
    "meta": ("EAAC{b62:120-180}", "EAAM{b62:120-180}", "{nz:16}|{b62:27}"),
    "fcm": ("AAAA{url:7}:{url:140}",),
    "clouds": ("LTAI{b62:20}", "AKID{b62:32}", "AQVN{url:36}"),
    "jwt": ("eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lkcC50ZXN0Iiwic3ViIjoi{b62:40}.{url:86}", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ{b62:40}.{url:43}"),
    "teams hook": ("https://acme.webhook.office.com/webhookb2/{uuid}@{uuid}/IncomingWebhook/{hex:32}/{uuid}",),
    "flow url": ("https://prod-{d:2}.westeurope.logic.azure.com:443/workflows/{hex:32}/triggers/manual/paths/invoke?api-version=2016-10-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig={url:43}",),
    "sas": ("https://acme{d:3}.blob.core.windows.net/c/f.csv?sv=2023-11-03&st=2025-01-01T00%3A00%3A00Z&se=2026-01-01T00%3A00%3A00Z&sr=b&sp=r&sig={b62:43}%3D",),
    "account key": ("DefaultEndpointsProtocol=https;AccountName=acme{d:3};AccountKey={b64:86}==;EndpointSuffix=core.windows.net", "Endpoint=sb://acme.servicebus.windows.net/;SharedAccessKeyName=Send;SharedAccessKey={b64:43}=", "Endpoint=https://acme.azconfig.io;Id=a1-l0-s0:{b62:16};Secret={b64:43}="),
    "ado.net": ("Server=tcp:sql{d:2}.acme.test,1433;Initial Catalog=crm;User ID=app;Password={b62:14};Encrypt=True", "Data Source=ora;User Id=app;Pwd={b62:8}#{b62:4};"),
    "uri": ("postgresql://app:{b62:12}@db{d:2}.acme.test:5432/crm", "mongodb+srv://svc:{b62:16}@c{d:1}.acme.test/?w=majority", "redis://:{b62:20}@cache.acme.test:6379/0", "amqps://svc:{url:14}@mq.acme.test/v", "mysql://root:{b62:10}@10.0.{d:1}.7/crm", "https://bob:{b62:11}@git.acme.test/x.git", "ftp://up:{b62:9}@files.acme.test", "mssql://sa:{b62:8}!{b62:3}@sql/crm"),
    "otp": ("otpauth://totp/Acme:bob?secret={b32:32}&issuer=Acme",),
    "command": ("curl -u svc:{b62:14} https://api.acme.test/v1/x", "deploy --user app --password {b62:12}", "sshpass -p {b62:12} ssh ops@10.2.3.4", "machine git.acme.test login bob password {b62:14}", "mysqldump -u root -p{b62:12} crm"),
    "cookie": ("Cookie: _gitlab_session={hex:32}", "ASP.NET_SessionId={low:24}", ".ASPXAUTH={HEX:160}", "ESTSAUTH=0.{url:200}"),
    "windows": ("Administrator:500:aad3b435b51404eeaad3b435b51404ee:{hex:32}:::", '<Properties cpassword="{b64:42}" userName="a"/>'),
    "headers": ("Authorization: Bearer {b62:40}", "X-API-Key: {b62:32}", "Authorization: Bearer {hex:64}", "PRIVATE-TOKEN: {b62:26}"),
    "newer tokens": ("AQ.Ab8RN6{url:44}", "cfut_{b62:40}{hex:8}", "cfat_{b62:40}{hex:8}", "snyk_uat.{hex:8}.{url:70}", "A3TX{b32:16}", "IQoJb3JpZ2luX2Vj{b64:200}", "{url:42}0AQJJQACBxTESTAABKcPz4", "{b62:52}JQQJ99BLACAAAAAAAAAAAAAASAZDO{b62:4}", "ghs_{d:6}_eyJhbGciOiJSUzI1NiJ9.eyJpc3Mi{b62:40}.{url:86}"),
    "kubernetes": ("kind: Secret\nmetadata:\n  name: a\ndata:\n  k: {b64:40}\n",),
}  # fmt: skip
"""What can be found by its own shape, without a word on what it is."""

NAMED: dict[str, tuple[str, ...]] = {
    "aws secret": ("aws_secret_access_key = {b64:40}", '"SecretAccessKey": "{b64:40}"', "AWS_SECRET_ACCESS_KEY={b64:40}", "AKIA{b32:16} / {b64:40}"),
    "devops pat": ("Azure DevOps PAT {l32:52}", "AZURE_DEVOPS_EXT_PAT={l32:52}", "ado_pat: {l32:52}"),
    "okta": ("OKTA_API_TOKEN=00{url:40}", "curl https://acme.okta.com/api/v1/users -H 'Authorization: SSWS 00{url:40}'"),
    "twilio": ("AC{hex:32} {hex:32}", "TWILIO_AUTH_TOKEN={hex:32}", "twilio auth token is {hex:32}"),
    "datadog": ("DD_API_KEY={hex:32}", "datadog app key {hex:40}", '{{"datadog": {{"api_key": "{hex:32}"}}}}'.replace("{{", "{").replace("}}", "}")),
    "splunk": ("Authorization: Splunk {uuid}", "splunk hec token {uuid}"),
    "cloudflare": ("CLOUDFLARE_API_TOKEN={b62:40}", "cloudflare token: {b62:40}", "X-Auth-Key: {hex:37}"),
    "pagerduty": ("pagerduty token u+{b62:18}", "PAGERDUTY_KEY={b62:20}"),
    "alibaba": ("LTAI5t{b62:18} {b62:30}", "aliyun secret {b62:30}"),
    "heroku": ("HEROKU_API_KEY={uuid}",),
    "fastly": ("FASTLY_API_TOKEN={b62:32}",),
    "cognitive": ("Ocp-Apim-Subscription-Key: {hex:32}", "AZURE_OPENAI_API_KEY={hex:32}", "cognitive services key {hex:32}"),
    "discord": ("discord bot token MT{b62:22}.{b62:6}.{url:38}",),
    "ethereum": ("PRIVATE_KEY=0x{hex:64}", "wallet private key: {hex:64}"),
    "wif": ("bitcoin private key L{b58:51}", "importprivkey 5J{b58:49}"),
    "zendesk": ("ZENDESK_API_TOKEN={b62:40}", "zendesk token {b62:40}"),
    "docusign": ("docusign secret key: {uuid}", "servicenow client_secret={b62:32}"),
    "generic secret": ("client_secret={b62:40}", 'api_key: "{hex:32}"', "token={b62:32}", "SECRET_KEY='{b62:50}'", "access_token = {url:48}", "X_API_TOKEN={hex:40}", "refreshToken: {url:60}", "https://api.acme.test/v1?apikey={hex:32}", "encryption_key={b64:44}", "webhook_secret: {hex:64}", "credential: {b62:24}", "--client-secret {b62:34}", "my api key is {b62:32}", "the client secret is {url:40}", "API-Schlüssel: {b62:32}", "clé API : {hex:32}", "clave de API: {b62:32}", "chiave API: {b62:32}", "klucz API: {b62:32}", "chave de API: {b62:32}", "секретный ключ: {b62:32}", "APIキー：{b62:32}"),
    "generic password": ("DB_PASSWORD={b62:12}!{d:2}", "password: {b62:10}#{d:2}", '"password": "{b62:9}@{d:2}"', "Passwort: {b62:10}!1", "mot de passe : {b62:10}?4", "contraseña: {b62:10}$7", "senha: {b62:10}#1", "hasło: {b62:10}!3", "wachtwoord: {b62:10}%5", "пароль: {b62:10}!9", "密码：{b62:10}#2", "パスワード: {b62:10}!2", "the password is {b62:10}!6", "das Passwort lautet {b62:10}!6", "la contraseña es {b62:10}!6", "<password>{b62:12}</password>", '<add key="SmtpPassword" value="{b62:10}!2"/>', "- name: DB_PASS\n  value: {b62:14}9a\n", "passwd={b62:16}", "PGPASSWORD={b62:14}", "credentials: bob / {b62:8}!7Qx"),
    "password column": ("host,user,password\ndb1,app,{b62:12}9a\n", "| user | password |\n|---|---|\n| bob | {b62:9}#7Qx |", "user;Passwort\nbob;{b62:10}!1", "name\tpwd\nbob\t{b62:14}", "<tr><td>password</td><td>{b62:10}!9a</td></tr>"),
    "secret column": ("service,api_key\nbilling,{b62:32}\n", "| name | token |\n|---|---|\n| prod | {hex:40} |", "name;client_secret\nx;{url:40}"),
    "told password": ("user bob / pass {b62:8}!7Qx", "username bob, password {b62:8}!7Qx", "usuario bob contraseña {b62:8}!7Qx", "gebruiker bob wachtwoord {b62:8}!7Qx", "пользователь bob пароль {b62:8}!7Qx", "用户名bob 密码{b62:8}!7Qx", "ユーザー bob パスワード {b62:8}!7Qx", "사용자 bob 비밀번호 {b62:8}!7Qx", "uživatel bob heslo {b62:8}!7Qx", "lösenordet är {b62:8}!7Qx", "mật khẩu là {b62:8}!7Qx", "kata sandi: {b62:8}!7Qx", "parola este {b62:8}!7Qx", "{b62:8}!7Qx is the password for the portal", "the wifi key is {b62:8}!7Qx", "Password - {b62:8}!7Qx", "u: bob p: {b62:8}!7Qx"),
    "told secret": ("API key - {b62:32}", "call the API with key {b62:32}", "a chave da API é {b62:32}", "ключ API: {b62:32}", "api anahtarı: {hex:32}"),
    "client calls": ("auth=('svc', '{b62:13}')", 'new NetworkCredential("app", "{b62:13}")', "mysqli_connect('db', 'app', '{b62:13}', 'crm')", "app:{b62:13}@tcp(db.acme.test:3306)/crm", "CREATE USER app IDENTIFIED BY '{b62:13}'", "ALTER LOGIN sa WITH PASSWORD = N'{b62:9}#7Qx'", "CONNECT app/{b62:11}@orcl", "define('DB_PASSWORD', '{b62:13}');", 'cfg.set("smtp.password", "{b62:13}")', '<property name="hibernate.connection.password">{b62:13}</property>', "unzip -P {b62:13} a.zip", "username admin password 0 {b62:13}", "snmp-server community {b62:13} RW"),
}  # fmt: skip
"""What needs its name beside it; the name is part of the shape."""

PROSE = (
    "{v}",
    "Please use {v} for the call.",
    "Hi, the credentials you asked for: {v}",
    "Bitte mit {v} testen und danach löschen!",
    "Voici {v} pour l'accès de test, merci.",
    "2025-03-04T10:22:31Z ERROR auth failed for {v} from 10.1.2.3",
    "| staging | {v} | ok |",
    "- `{v}`",
    "```\nexport VALUE={v}\n```",
    '{{"id": 17, "data": "{v}", "ok": true}}',
    '"{{\\"data\\": \\"{v}\\"}}"',
    "client = Client('{v}')",
    "first line\n{v}\nlast line",
    "({v})",
    "value={v}; path=/",
    "config:\n  some:\n    value: {v}\n",
    "<data>{v}</data>",
    "see {v}, then call back",
)
KEYS = ("apiKey", "token", "text", "body", "query", "secret", "value", "connection", "headers", "emailMessage/Body")


def samples(seed: int, count: int) -> Iterator[Sample]:
    """``count`` texts, every shape in turn, in ever other surroundings."""
    rng = random.Random(seed)
    shapes = [(kind, shape, True) for kind, group in SHAPES.items() for shape in group]
    shapes += [(kind, shape, False) for kind, group in NAMED.items() for shape in group]
    shapes += [(kind, "", True) for kind in MADE]
    for number in range(count):
        kind, shape, bare = shapes[number % len(shapes)]
        value = fill(shape, rng) if shape else MADE[kind](rng)
        text = rng.choice(PROSE).format(v=value) if bare or rng.random() < 0.5 else value
        if bare and rng.random() < 0.15:
            text = f"{rng.choice(KEYS)}: {value}"
        yield Sample(text, kind)


def basic_header(rng: R) -> str:
    """An Authorization header with user and password."""
    pair = fill("{low:8}:{b62:14}", rng)
    return f"Authorization: Basic {base64.b64encode(pair.encode()).decode()}"


def pem(rng: R) -> str:
    """A private key with a random body, its lines broken or escaped as in JSON."""
    kind = rng.choice(("RSA ", "EC ", "OPENSSH ", "", "ENCRYPTED "))
    end = rng.choice(("\n", "\\n", "\r\n"))
    lines = [fill("{b64:64}", rng) for _ in range(rng.randint(2, 12))]
    return end.join([f"-----BEGIN {kind}PRIVATE KEY-----", *lines, f"-----END {kind}PRIVATE KEY-----"])


def discord(rng: R) -> str:
    """A bot's token: user id, time and signature."""
    first = base64.b64encode(fill("1{d:17}", rng).encode()).decode().rstrip("=")
    return fill(f"{first}.{{b62:6}}.{{url:38}}", rng)


def url_encoded(rng: R) -> str:
    """A token inside a query whose separators are percent-encoded."""
    shape = rng.choice(("ghp_{b62:36}", "sk_live_{b62:24}", "AKIA{b32:16}", "glpat-{b62:20}"))
    return "https://acme.test/r?next=" + urllib.parse.quote(f"/x?token={fill(shape, rng)}&a=1", safe="")


def pem_base64(rng: R) -> str:
    """A PEM private key in base64, as in a kubeconfig."""
    return base64.b64encode(pem(rng).encode()).decode()


MADE: dict[str, Callable[[R], str]] = {
    "basic auth": basic_header,
    "private key": pem,
    "discord bot": discord,
    "percent-encoded": url_encoded,
    "private key in base64": pem_base64,
}
