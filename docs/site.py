"""Hooks of MkDocs: the site asks nothing of the network, and holds what its pages link to outside `docs`, as text."""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
FOLDER = "files"
# The theme's search runs in a worker, which browsers refuse to pages opened as files; its own way round that is
# a script from the network. This one lets the worker's script run in a hidden frame.
_FROM_NETWORK = '<script src="https://unpkg.com/iframe-worker/shim"></script>'
_WORKER = """<script>
if (location.protocol === "file:") window.Worker = class extends EventTarget {
    constructor(url) {
        super();
        const frame = document.createElement("iframe"), waiting = [];
        frame.hidden = true;
        document.body.append(frame);
        const inside = frame.contentWindow, script = inside.document.createElement("script");
        const hand = data => inside.dispatchEvent(new inside.MessageEvent("message", {data}));
        inside.postMessage = data => this.dispatchEvent(new MessageEvent("message", {data}));
        this.postMessage = data => waiting.push(data);
        script.onload = () => { this.postMessage = hand; waiting.forEach(hand); };
        script.src = url;
        inside.document.body.append(script);
    }
};
</script>"""
_OUTSIDE = re.compile(r"\]\(\.\./([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for page in list(files.documentation_pages()):
        if "/" in page.src_uri:
            continue  # of these `..` is docs itself
        for name, _ in _OUTSIDE.findall(page.content_string):
            if _uri(name) not in files.src_uris:
                text = (ROOT / name).read_text(encoding="utf-8")
                files.append(File.generated(config, _uri(name), content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    return markdown if "/" in page.file.src_uri else _OUTSIDE.sub(lambda link: f"]({_uri(link[1])})", markdown)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    return output.replace(_FROM_NETWORK, _WORKER)


def on_post_template(output_content: str, template_name: str, config: MkDocsConfig) -> str:
    return output_content.replace(_FROM_NETWORK, _WORKER)


def _uri(name: str) -> str:
    """Where a file stands in the site; `.txt`, so that a browser shows it."""
    return f"{FOLDER}/{name.lstrip('.').replace('/', '-')}.txt"
