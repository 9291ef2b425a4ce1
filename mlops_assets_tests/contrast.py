"""Texts of a page that stand out too little from what is behind them (WCAG 2.2, success criterion 1.4.3)."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

LEAST = 4.5  # of text; 3 of large text
_FAINT = """least => {
    const parse = text => {
        const [red, green, blue, alpha = 1] = (text.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
        return {red, green, blue, alpha};
    };
    const over = (front, back, alpha) => ({alpha: 1,
        red: front.red * alpha + back.red * (1 - alpha),
        green: front.green * alpha + back.green * (1 - alpha),
        blue: front.blue * alpha + back.blue * (1 - alpha)});
    const linear = value => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    const light = ({red, green, blue}) => 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
    const ratio = (one, other) => {
        const [dark, bright] = [light(one), light(other)].sort((a, b) => a - b);
        return (bright + 0.05) / (dark + 0.05);
    };
    const behind = element => {
        if (!element) return parse("rgb(255, 255, 255)");
        const colour = parse(getComputedStyle(element).backgroundColor);
        return colour.alpha === 1 ? colour : over(colour, behind(element.parentElement), colour.alpha);
    };
    const opacity = element => element ? getComputedStyle(element).opacity * opacity(element.parentElement) : 1;
    const faint = [];
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        const element = texts.currentNode.parentElement, text = texts.currentNode.data.trim();
        const box = element.getBoundingClientRect(), style = getComputedStyle(element);
        const shown = opacity(element);
        if (!text || !box.width || !box.height || style.visibility === "hidden" || !shown) continue;
        if (element.closest("script, style, noscript, [disabled], [data-disabled]")) continue;
        const drawn = element instanceof SVGElement;
        const colour = parse(drawn ? style.fill : style.color), back = behind(element);
        const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
        const found = ratio(over(colour, back, colour.alpha * shown), back);
        if (found < (large ? 3 : least)) faint.push(`${text.slice(0, 40)}: ${found.toFixed(2)}`);
    }
    return [...new Set(faint)];
}"""


def faint_texts(page: "Page") -> list[str]:
    """What is hard to read on a page, with its contrast. Of what is drawn, the background is that of its card."""
    return page.evaluate(_FAINT, LEAST)
