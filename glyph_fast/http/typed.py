"""HTTP handlers that declare the types of a request's body, form and query.

`async def create(request, body: Article)` and `def find(query: Search)` get values of these types;
another request is refused with 422, each place that does not fit named. `async def
sign(form: Sign)` gets the texts of a form, `form: FormData` all of it. The parameters are known by
their names, and by having a type.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import update_wrapper
from inspect import Parameter, isawaitable
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from ..errors import Reject
from ..schema.faults import Mismatch
from ..schema.parameters import (
    declared_parameters,
    is_structured,
    positional,
    type_of,
    type_returned,
)
from .request import Request
from .response import Response

if TYPE_CHECKING:
    from ..schema.schema import Schema
    from .forms import FormData

Call: TypeAlias = Callable[[Request], Any]

BODY, QUERY, FORM = "body", "query", "form"
UNSUPPORTED = 415  # Unsupported Media Type, RFC 9110 §15.5.16
UNPROCESSABLE = 422  # Unprocessable Content, RFC 9110 §15.5.21


def request_call(handler: Callable[..., Any], *, may_wait: bool) -> Call | None:
    """A callable of one argument for a handler that declares types; None for one that does not.

    `may_wait`: it is called before the body has come, and awaited. It has `takes`, the schemas of
    `body`, `form` and `query` where they are declared, and `answers`, that of what is returned, or
    None. Raises TypeError for a type that JSON cannot be checked against, for a handler that
    demands more than these and the request, and for one of a form that cannot wait for it.
    """
    parameters = declared_parameters(handler)
    takes = {
        each.name: schema
        for each in parameters
        if (schema := _schema_of(handler, each)) is not None
    }
    wants_form = FORM in takes or any(_is_form_data(handler, each) for each in parameters)
    answers = _schema_of_answers(handler)
    if not takes and not wants_form and answers is None:
        return None
    others = [
        each for each in parameters if each.name not in takes and not _is_form_data(handler, each)
    ]
    _check_demands(handler, others)
    if wants_form and (BODY in takes or not may_wait):
        raise TypeError(f"{_name_of(handler)}: a form needs an async def, and no body beside it")
    is_optional = any(each.name == BODY and each.default is not each.empty for each in parameters)
    first = next(iter(positional(others)), None)
    # By its name, for it may stand behind the others.
    name = first.name if first is not None and first.kind is first.POSITIONAL_OR_KEYWORD else None

    def ask(request: Request, content: bytes, form: FormData | None = None) -> Any:
        values = _values(takes, request, content, is_body_optional=is_optional)
        if form is not None:
            values[FORM] = _of_form(takes.get(FORM), form)
        if first is None:
            return handler(**values)
        return handler(request, **values) if name is None else handler(**values, **{name: request})

    async def awaited(result: Awaitable[Any]) -> Any:
        return _checked(answers, await result)

    def call(request: Request) -> Any:
        result = ask(request, request._body)
        return awaited(result) if isawaitable(result) else _checked(answers, result)

    async def call_later(request: Request) -> Any:
        result = ask(request, await request.body())
        return _checked(answers, await result if isawaitable(result) else result)

    async def call_with_form(request: Request) -> Any:
        result = ask(request, b"", await request.form())
        return _checked(answers, await result if isawaitable(result) else result)

    if wants_form:
        choice: Call = call_with_form
    else:
        choice = call_later if may_wait and BODY in takes else call
    chosen: Any = update_wrapper(choice, handler)
    chosen.takes, chosen.answers = takes, answers
    return cast("Call", chosen)


def _schema_of(handler: Callable[..., Any], parameter: Parameter) -> Schema | None:
    """That of a parameter, where it is one for a body or a query."""
    if parameter.name not in (BODY, QUERY, FORM) or parameter.annotation is parameter.empty:
        return None
    type_ = type_of(handler, parameter)
    if type_ in (Any, object, Request) or _is_form_data(handler, parameter):
        return None
    from ..schema.schema import Schema  # needs msgspec, which is for who declares types

    return Schema(type_, parameter.name)


def _is_form_data(handler: Callable[..., Any], parameter: Parameter) -> bool:
    """Return whether a parameter is for the form as it came."""
    if parameter.name != FORM or parameter.annotation is parameter.empty:
        return False
    from .forms import FormData  # for who takes forms

    return type_of(handler, parameter) is FormData


def _schema_of_answers(handler: Callable[..., Any]) -> Schema | None:
    """That of what is returned, where it is a type with fields: a str says what JSON it is."""
    type_ = type_returned(handler, Response)
    if not is_structured(type_):
        return None
    from ..schema.schema import Schema

    return Schema(type_, "answer")


def _check_demands(handler: Callable[..., Any], others: list[Parameter]) -> None:
    demanded = [
        each
        for each in others
        if each.default is each.empty and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]
    if len(demanded) > 1 or any(each.kind is each.KEYWORD_ONLY for each in demanded):
        names = ", ".join(each.name for each in demanded)
        beside = "beside body, form and query it is given the request"
        raise TypeError(f"{_name_of(handler)} demands {names}: {beside}")


def _name_of(handler: Callable[..., Any]) -> str:
    name: str = getattr(handler, "__qualname__", repr(handler)).rpartition("<locals>.")[2]
    return name


def _values(
    takes: Mapping[str, Schema], request: Request, content: bytes, *, is_body_optional: bool
) -> dict[str, Any]:
    """Return the values of the declared parameters. Raises Reject."""
    values = {}
    try:
        if QUERY in takes:
            query = request.query
            texts = {name: query.getlist(name) for name in query}
            values[QUERY] = takes[QUERY].read_texts(texts)
        if BODY in takes and (content or not is_body_optional):
            _check_is_json(request)
            values[BODY] = takes[BODY].read(content)
    except Mismatch as exc:
        raise Reject(UNPROCESSABLE, _told(exc)) from None
    return values


def _of_form(schema: Schema | None, form: FormData) -> Any:
    """Return the value of a parameter for the form: itself, or one of its texts. Raises Reject."""
    if schema is None:
        return form
    texts = {name: [each for each in form.getlist(name) if isinstance(each, str)] for name in form}
    try:
        return schema.read_texts({name: found for name, found in texts.items() if found})
    except Mismatch as exc:
        raise Reject(UNPROCESSABLE, _told(exc)) from None


def _check_is_json(request: Request) -> None:
    """Raise Reject for a body that does not say it is JSON.

    Pages of others could send one without asking, and the browser would add its cookies.
    """
    content_type = request.headers.get("content-type", "")
    kind = content_type.partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and "+json" in kind):
        found = kind or "no Content-Type"
        raise Reject(UNSUPPORTED, {"error": f"expected application/json, found {found}"})


def _told(mismatch: Mismatch) -> dict[str, Any]:
    """The answer: a text for people, and for programs the places as FastAPI has them."""
    places = [
        {"loc": [mismatch.subject, *fault.path], "msg": fault.reason, "type": fault.kind}
        for fault in mismatch.faults
    ]
    return {"error": str(mismatch), "detail": places}


def _checked(answers: Schema | None, value: Any) -> Any:
    if answers is None or value is None or isinstance(value, Response):
        return value
    return answers.check_answer(value)
