"""The guides of docs/ as pages of the site, rendered where the site is written.

Its library is one of development alone.
"""

from collections.abc import Mapping
from pathlib import Path

from markdown_it import MarkdownIt

from .site import GUIDES

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} - Zimun</title>
<link rel="icon" href="/docs/swagger-ui/favicon-32x32.png">
<link rel="stylesheet" href="/docs/page.css">
</head>
<body>
<header>
<nav aria-label="Guides">
<a href="/docs">API</a>
{links}
</nav>
</header>
<main>
{body}</main>
</body>
</html>
"""


def pages(directory: Path) -> dict[str, str]:
    """The text of each page, by its path below `site/`."""
    texts = {name: (directory / file).read_text() for name, file in GUIDES.items()}
    titles = {name: text.partition("\n")[0].removeprefix("# ") for name, text in texts.items()}
    return {
        f"docs/guides/{name}.html": _page(titles[name], _links(titles, name), text)
        for name, text in texts.items()
    }


def _links(titles: Mapping[str, str], current: str) -> str:
    """Links to all guides; the one that is shown is marked."""
    marks = {name: ' aria-current="page"' if name == current else "" for name in titles}
    return "\n".join(
        f'<a href="/docs/guides/{name}.html"{marks[name]}>{title}</a>'
        for name, title in titles.items()
    )


def _page(title: str, links: str, text: str) -> str:
    """HTML in the text is shown, not obeyed; scrolling blocks can be reached by the keyboard."""
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    for block in ("pre", "table"):
        body = body.replace(f"<{block}>", f'<{block} tabindex="0">')
    return _PAGE.format(title=title, links=links, body=body)
