"""PDF by typst: a template, its data, and the same bytes whenever both are the same.

A template is typst source.  In it ``data`` is the data, and ``qr(data.x)`` draws what `qr_code`
made of a text.  Text is set in Libertinus Serif, figures that must not be misread in
``mono[...]``; letters beyond Europe's come from the machine's fonts (see `vending.receipts.fonts`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import resources
from io import BytesIO
from typing import Any, Final, Literal

from vending.receipts.faults import PdfError
from vending.receipts.fonts import fonts_for

_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_PPI: Final = 144.0
"""Of pictures: sharp on a screen, and of a size that can be sent."""
_PRELUDE: Final = """
#let data = json(bytes(sys.inputs.data))
#let families = json(bytes(sys.inputs.families))
#let mono(body) = text(font: ("DejaVu Sans Mono",) + families, body)
#let qr(svg, width: 25mm) = image(bytes(svg), format: "svg", width: width)
#set text(font: ("Libertinus Serif",) + families, lang: data.at("lang", default: "en"))
"""


def compile_pdf(
    template: str, data: Mapping[str, Any], *, made_at: datetime | None = None
) -> bytes:
    """Typeset a template with its data.

    Args:
        template: typst source; no file and no package is read by it.
        data: values for JSON; ``lang`` names the language for hyphenation.
        made_at: the time that the PDF names as its making; an aware time.  It is the data's,
            not the clock's, so that the same receipt gives the same bytes.

    Raises:
        FontMissingError: letters in the template or data that no font here has.
        PdfError: the template or the data is wrong.
    """
    return _typeset(template, data, "pdf", made_at or _EPOCH)


def compile_picture(template: str, data: Mapping[str, Any], form: Literal["svg", "png"]) -> bytes:
    """The same as a picture; the template makes one page.

    Raises:
        FontMissingError, PdfError: as for `compile_pdf`.
    """
    return _typeset(template, data, form, _EPOCH)


def look_up(template: str, data: Mapping[str, Any], label: str) -> Any:
    """What a template has found out while it was typeset: the value of a labelled ``metadata``.

    Args:
        template: as for `compile_pdf`.
        data: as for `compile_pdf`.
        label: of the one ``metadata``, without its brackets.

    Raises:
        FontMissingError, PdfError: as for `compile_pdf`.
    """
    import typst

    content = json.dumps(dict(data), ensure_ascii=False)
    chosen = fonts_for(_letters(template, data))
    try:
        found = typst.query(
            (_PRELUDE + template).encode(),
            f"<{label}>",
            field="value",
            one=True,
            font_paths=chosen.fonts,
            sys_inputs={"data": content, "families": json.dumps(chosen.families)},
        )
    except typst.TypstError as fault:
        raise PdfError(f"The PDF could not be typeset: {fault.message}.") from fault
    return json.loads(found)


def _typeset(
    template: str,
    data: Mapping[str, Any],
    form: Literal["pdf", "svg", "png"],
    made_at: datetime,
) -> bytes:
    import typst

    content = json.dumps(dict(data), ensure_ascii=False)
    chosen = fonts_for(_letters(template, data))
    moment = made_at.astimezone(UTC).replace(microsecond=0)
    try:
        made = typst.compile(
            (_PRELUDE + template).encode(),
            font_paths=chosen.fonts,
            sys_inputs={"data": content, "families": json.dumps(chosen.families)},
            format=form,
            ppi=_PPI,
            timestamp=moment,
        )
    except typst.TypstError as fault:
        raise PdfError(f"The {form.upper()} could not be typeset: {fault.message}.") from fault
    assert isinstance(made, bytes)
    return made


def template_text(name: str) -> str:
    """A template of this package, by its file's name without ``.typ``."""
    return (resources.files(__package__) / "templates" / f"{name}.typ").read_text("utf-8")


def qr_code(text: str) -> str:
    """A QR code as SVG, for ``qr`` in a template."""
    import segno

    drawn = BytesIO()
    segno.make(text, error="m", micro=False).save(
        drawn, kind="svg", border=4, xmldecl=False, svgns=True, nl=False
    )
    return drawn.getvalue().decode()


def _letters(template: str, data: object) -> str:
    """Every text that may be set."""
    if isinstance(data, str):
        return template + data
    if isinstance(data, Mapping):
        return template + "".join(_letters("", value) for value in data.values())
    if isinstance(data, list | tuple):
        return template + "".join(_letters("", value) for value in data)
    return template
