"""The part of the interface of the module requests that drive.py and manager.py use, over urllib."""
import json as _json
import urllib.error
import urllib.request

__version__ = 'stand-in'


class HTTPError(Exception):
    def __init__(self, response):
        super().__init__(response.status_code)
        self.response = response


class Response:
    def __init__(self, status, body):
        self.status_code, self._body = status, body

    def json(self):
        return _json.loads(self._body)

    def raise_for_status(self):
        if self.status_code >= 400:
            raise HTTPError(self)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args):
        return None


_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)


def _request(method, url, headers=None, json=None):
    data = None if json is None else _json.dumps(json).encode()
    try:
        with _opener.open(urllib.request.Request(url, data, headers or {}, method=method), timeout=60) as answer:
            return Response(answer.status, answer.read())
    except urllib.error.HTTPError as e:
        return Response(e.code, e.read())


def get(url, **options):
    return _request('GET', url, **options)


def post(url, **options):
    return _request('POST', url, **options)


def put(url, **options):
    return _request('PUT', url, **options)


def delete(url, **options):
    return _request('DELETE', url, **options)
