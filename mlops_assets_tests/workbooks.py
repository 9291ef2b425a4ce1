"""Excel workbooks of sheets of rows, as few parts as a reader needs: no writer of them is installed."""

import io
import zipfile
from datetime import datetime
from xml.sax.saxutils import escape

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_DAY_ZERO = datetime(1899, 12, 30)
_STYLES = f'<styleSheet xmlns="{_MAIN}"><cellXfs><xf numFmtId="0"/><xf numFmtId="22"/></cellXfs></styleSheet>'


def workbook(sheets: dict[str, list[list]]) -> bytes:
    """A workbook's bytes; cells are texts, numbers, times or None."""
    names = list(sheets)
    entries = "".join(f'<sheet name="{name}" sheetId="{n}" r:id="r{n}"/>' for n, name in enumerate(names, 1))
    targets = [(f"r{n}", "worksheet", f"worksheets/s{n}.xml") for n in range(1, len(names) + 1)]
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr("[Content_Types].xml", f'<Types xmlns="{_PACKAGE}/content-types"/>')
        archive.writestr("_rels/.rels", _relations([("r0", "officeDocument", "xl/workbook.xml")]))
        book = f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>{entries}</sheets></workbook>'
        archive.writestr("xl/workbook.xml", book)
        archive.writestr("xl/_rels/workbook.xml.rels", _relations([*targets, ("rs", "styles", "styles.xml")]))
        archive.writestr("xl/styles.xml", _STYLES)
        for number, name in enumerate(names, 1):
            archive.writestr(f"xl/worksheets/s{number}.xml", _sheet(sheets[name]))
    return body.getvalue()


def _relations(targets: list[tuple[str, str, str]]) -> str:
    inner = "".join(f'<Relationship Id="{i}" Type="{_OFFICE}/{kind}" Target="{to}"/>' for i, kind, to in targets)
    return f'<Relationships xmlns="{_PACKAGE}/relationships">{inner}</Relationships>'


def _sheet(rows: list[list]) -> str:
    lines = "".join(
        f'<row r="{y}">{"".join(_cell(f"{chr(64 + x)}{y}", value) for x, value in enumerate(row, 1))}</row>'
        for y, row in enumerate(rows, 1)
    )
    return f'<worksheet xmlns="{_MAIN}"><sheetData>{lines}</sheetData></worksheet>'


def _cell(place: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return f'<c r="{place}" t="inlineStr"><is><t>{escape(value)}</t></is></c>'
    if isinstance(value, datetime):
        return f'<c r="{place}" s="1"><v>{(value - _DAY_ZERO).total_seconds() / 86400}</v></c>'
    return f'<c r="{place}"><v>{value}</v></c>'
