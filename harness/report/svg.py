"""Small SVG from matplotlib's: the same picture in a third of the bytes, so that a page has room for two of each."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from xml.etree.ElementTree import Element, SubElement, fromstring, tostring

SVG, LINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"
FONT = "system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif"
LEFT_OUT = ("metadata", "style")
"""Elements of matplotlib's that say nothing, or are said once in the head of the result."""


def compact(svg: str, name: str, label: str) -> str:
    """Return an SVG element with short numbers, with styles that are used again as classes, and without bare groups.

    Args:
        svg: From matplotlib.
        name: The element's id; leads the names of classes and parts, since those are the whole page's.
        label: What the picture shows, for those who do not see it.
    """
    drawn = fromstring(svg[svg.index("<svg") :].encode())
    root = Element("svg", {"id": name, "role": "img", "aria-label": label, "xmlns": SVG.strip("{}")})
    for key in ("width", "height", "viewBox"):
        root.set(key, _numbers(drawn.get(key, "")))
    style = SubElement(root, "style")
    root.extend(_bare(drawn))
    _name_parts(root, name)
    style.text = f"#{name} text{{font-family:{FONT}}}#{name} path{{stroke-linejoin:round}}" + _name_styles(root, name)
    return tostring(root, encoding="unicode")


def _bare(group: Element) -> Iterator[Element]:
    """Yield what a group holds, with groups that carry nothing replaced by what is in them."""
    for child in group:
        tag = child.tag.removeprefix(SVG)
        inside = list(_bare(child))
        if tag in LEFT_OUT or (tag == "defs" and not inside):
            continue
        kept = dict(_attributes(tag, child))
        if tag == "g" and not kept:
            yield from inside
            continue
        element = Element(tag, kept)
        element.text = child.text if tag == "text" else None
        element.extend(inside)
        yield element


def _attributes(tag: str, element: Element) -> Iterator[tuple[str, str]]:
    for key, value in element.attrib.items():
        if key == LINK:
            yield "href", value
        elif key == "d":
            yield key, re.sub(r"\s*([MLQCz])\s*", r"\1", " ".join(_numbers(value).split()))
        elif key == "style":
            said = [rule for rule in re.split(r"\s*;\s*", value) if rule and not rule.startswith("font-family")]
            yield key, ";".join(re.sub(r"\s*([:,])\s*", r"\1", _numbers(rule)) for rule in said)
        elif key == "id":
            if tag != "g":
                yield key, value
        elif not (key == "transform" and value.startswith("rotate(-0 ")):
            yield key, _numbers(value)


def _numbers(text: str) -> str:
    """Return text with numbers to a tenth of a point, which is less than a pixel; those below 2 keep two decimals."""
    return re.sub(r"(?<![\w#.-])-?\d+\.\d+", _short, text)


def _short(found: re.Match[str]) -> str:
    text = f"{float(found[0]):.{1 if abs(float(found[0])) >= 2 else 2}f}".rstrip("0").rstrip(".")
    return "0" if text in ("", "-0") else text


def _name_parts(root: Element, name: str) -> None:
    """Give parts that are used elsewhere (marks, clips) numbered names, and take away all others."""
    whole = " ".join(value for element in root.iter() for value in element.attrib.values())
    used = [part for part in dict.fromkeys(re.findall(r"#(\w+)", whole)) if re.search(rf"\b{part}\b", whole)]
    names = {part: f"{name}-{number}" for number, part in enumerate(used)}
    for element in root.iter():
        if element is root:
            continue
        own = element.attrib.pop("id", None)
        if own in names:
            element.set("id", names[own])
        for key in ("href", "clip-path"):
            if key in element.attrib:
                element.set(key, re.sub(r"(?<=#)\w+", lambda of: names[of[0]], element.attrib[key]))


def _name_styles(root: Element, name: str) -> str:
    """Turn each style that stands more than once into a class, and return the classes."""
    counts = Counter(element.attrib["style"] for element in root.iter() if "style" in element.attrib)
    often = {style: f"{name}-s{number}" for number, (style, n) in enumerate(counts.items()) if n > 1}
    for element in root.iter():
        if element.attrib.get("style") in often:
            element.set("class", often[element.attrib.pop("style")])
    return "".join(f".{of}{{{style}}}" for style, of in often.items())
