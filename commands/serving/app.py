"""The API: `POST /segment`, `GET /model.json` and `/health`, and the page at `/`.

    curl --data-binary @photo.jpg http://127.0.0.1:8000/segment > trainIds.png
    curl -F image=@photo.jpg "http://127.0.0.1:8000/segment?as=json&model=NAME"

Errors are JSON with one sentence, `{"error": …}`. Nothing is written to disk. There are no CORS
headers: pages of other sites may not read an answer.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware

from commands.serving.answers import Kind, answer
from commands.serving.body import Body, Limits, Room, read_photo
from commands.serving.worker import RefusalError, Worker
from deploy import Segmenter

PAGE = Path(__file__).parent / "page"
FILES = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
    "/backend.js": ("server.js", "text/javascript"),
}
"""The page: address → file and type (which Windows may have wrong in its registry)."""
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; "
    "frame-ancestors 'none'",
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
}
LIMITS = Limits()
LOCAL_HOSTS = ("127.0.0.1", "localhost", "[::1]")


def build_app(
    models: dict[str, Segmenter], hosts: Sequence[str] = LOCAL_HOSTS, limits: Limits = LIMITS
) -> FastAPI:
    """The application.

    Args:
        models: the networks by name; the first one answers where none is named.
        hosts: what a request may call this machine, so that no web page reaches a server for this
            machine alone through a host name of its own (DNS rebinding); "*" for anything.
        limits: of a request.
    """
    app = FastAPI(title="Semantic segmentation", docs_url=None, redoc_url=None)  # both need a CDN
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=hosts)
    app.add_exception_handler(RefusalError, refused)
    app.add_exception_handler(HTTPException, not_found)
    app.add_exception_handler(RequestValidationError, not_valid)
    app.add_exception_handler(Exception, broken)
    worker, room = Worker(limits.waiting), Room(limits.held_bytes)
    add_page(app)

    @app.get("/model.json")
    async def model_json() -> dict[str, Any]:
        described = [about(name, each) for name, each in models.items()]
        return {"models": described, "most_bytes": limits.body_bytes}

    @app.get("/health")
    async def health() -> dict[str, Any]:
        counts = {"waiting": max(0, worker.inside - 1), "segmented": worker.done}
        return {"status": "ok", "models": list(models)} | counts

    @app.post("/segment")
    async def segment(
        request: Request, kind: Annotated[Kind, Query(alias="as")] = "png", model: str | None = None
    ) -> Response:
        segmenter = chosen(models, model)
        may_zip = "gzip" in request.headers.get("accept-encoding", "")
        with Body(room) as body:
            photo = await read_photo(request, body, limits)
            if photo is None:
                raise worker.busy()
            work = partial(answer, segmenter, photo, kind, limits.pixels, may_zip)
            return await worker.run(work, request)

    return app


def add_page(app: FastAPI) -> None:
    """Adds the page's files, read once."""
    for address, (name, kind) in FILES.items():
        response = partial(Response, (PAGE / name).read_bytes(), media_type=kind, headers=HEADERS)

        async def send(request: Request, response: partial = response) -> Response:
            return response()

        app.add_route(address, send)


def about(name: str, segmenter: Segmenter) -> dict[str, Any]:
    """What `/model.json` says of a network."""
    return {
        "name": name,
        "classes": list(segmenter.classes),
        "palette": segmenter.palette.tolist(),
        "size": list(segmenter.size),
    }


def chosen(models: dict[str, Segmenter], name: str | None) -> Segmenter:
    """The network of a name, the first one for None."""
    if name is None:
        return next(iter(models.values()))
    if name not in models:
        raise RefusalError(404, f"no model {name!r}; there are: {', '.join(models)}")
    return models[name]


# ------------------------------------------------------------------ errors


def said(status: int, line: str, headers: dict[str, str] | None = None) -> Response:
    """An error in one sentence."""
    return JSONResponse({"error": line}, status, headers)


async def refused(request: Request, error: RefusalError) -> Response:
    """What was refused here."""
    return said(error.status, error.line, error.headers)


async def not_found(request: Request, error: HTTPException) -> Response:
    """An address that there is not, or not for this method."""
    line = f"{error.detail}: {request.method} {request.url.path}; see /, /segment, /model.json"
    return said(error.status_code, line, error.headers)


async def not_valid(request: Request, error: RequestValidationError) -> Response:
    """A wrong parameter."""
    first = error.errors()[0]
    return said(400, f"the parameter {first['loc'][-1]} is wrong: {first['msg']}")


async def broken(request: Request, error: Exception) -> Response:
    """What nobody foresaw."""
    return said(500, "the server has failed on this photo; its console says why")
