"""Handshakes that must be refused, and those that must not, for port PORT and token TOKEN."""

PORT = 54321
TOKEN = "0123456789abcdef" * 4

Headers = list[tuple[str, str]]

HOST = ("Host", f"127.0.0.1:{PORT}")
BEARER = ("Authorization", f"Bearer {TOKEN}")

GOOD: dict[str, Headers] = {
    "by address": [HOST, BEARER],
    "by name": [("Host", f"localhost:{PORT}"), BEARER],
    "by IPv6 address": [("Host", f"[::1]:{PORT}"), BEARER],
    "names in lower case": [(name.lower(), value) for name, value in (HOST, BEARER)],
    "with another header": [HOST, BEARER, ("User-Agent", "Krita")],
}

WRONG_HEADERS: dict[str, Headers] = {
    "no token": [HOST],
    "empty token": [HOST, ("Authorization", "Bearer ")],
    "empty header": [HOST, ("Authorization", "")],
    "short token": [HOST, ("Authorization", f"Bearer {TOKEN[:-1]}")],
    "long token": [HOST, ("Authorization", f"Bearer {TOKEN}0")],
    "wrong token": [HOST, ("Authorization", "Bearer " + "f" * 64)],
    "token in capitals": [HOST, ("Authorization", f"Bearer {TOKEN.upper()}")],
    "token alone": [HOST, ("Authorization", TOKEN)],
    "other scheme": [HOST, ("Authorization", f"Basic {TOKEN}")],
    "two tokens": [HOST, BEARER, BEARER],
    "right and wrong token": [HOST, BEARER, ("Authorization", "Bearer x")],
    "token beyond ASCII": [HOST, ("Authorization", f"Bearer {TOKEN[:-1]}\xe9")],
    "token in a cookie": [HOST, ("Cookie", f"token={TOKEN}")],
    "token as subprotocol": [HOST, ("Sec-WebSocket-Protocol", TOKEN)],
    "page on the web": [HOST, BEARER, ("Origin", "https://example.com")],
    "page on this machine": [HOST, BEARER, ("Origin", f"http://127.0.0.1:{PORT}")],
    "page by name": [HOST, BEARER, ("Origin", f"http://localhost:{PORT}")],
    "page from a file": [HOST, BEARER, ("Origin", "null")],
    "empty origin": [HOST, BEARER, ("Origin", "")],
    "browser extension": [HOST, BEARER, ("origin", "chrome-extension://abc")],
    "no host": [BEARER],
    "empty host": [("Host", ""), BEARER],
    "rebound name": [("Host", f"evil.example:{PORT}"), BEARER],
    "name that begins like ours": [("Host", f"127.0.0.1.evil.example:{PORT}"), BEARER],
    "host without port": [("Host", "127.0.0.1"), BEARER],
    "other port": [("Host", f"127.0.0.1:{PORT + 1}"), BEARER],
    "other loopback address": [("Host", f"127.0.0.2:{PORT}"), BEARER],
    "any address": [("Host", f"0.0.0.0:{PORT}"), BEARER],
    "two hosts": [HOST, HOST, BEARER],
}

UPGRADE: Headers = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="),
]


def _upgrade(name: str, *values: str) -> Headers:
    """The headers of an upgrade with another value, or none, in one of them."""
    kept = [header for header in UPGRADE if header[0] != name]
    return kept + [(name, value) for value in values]


WRONG_UPGRADES: dict[str, Headers] = {
    "plain HTTP": [],
    "no version": _upgrade("Sec-WebSocket-Version"),
    "version 8": _upgrade("Sec-WebSocket-Version", "8"),
    "two versions": _upgrade("Sec-WebSocket-Version", "13", "12"),
    "no key": _upgrade("Sec-WebSocket-Key"),
    "short key": _upgrade("Sec-WebSocket-Key", "AAAA"),
    "other protocol": _upgrade("Upgrade", "h2c"),
    "no upgrade": _upgrade("Connection", "keep-alive"),
}

METHODS = ("POST", "HEAD", "OPTIONS", "CONNECT")

WRONG_PATHS = {
    "root": "/",
    "token in the query": f"/tapestry?token={TOKEN}",
    "trailing slash": "/tapestry/",
    "capitals": "/Tapestry",
    "way around": "/x/../tapestry",
    "encoded": "/%74apestry",
    "absolute": f"http://127.0.0.1:{PORT}/tapestry",
}
