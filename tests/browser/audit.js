// SPDX-License-Identifier: MIT
// What a test asks a page about itself.
const all = (selector) => [...document.querySelectorAll(selector)];
const style = (element) => getComputedStyle(element);

// The first colour behind an element that hides what is behind it.
function behind(element) {
  for (let at = element; at; at = at.parentElement) {
    const colour = style(at).backgroundColor;
    if (!colour.endsWith(", 0)")) return colour;
  }
  return "rgb(255, 255, 255)";
}

// Every visible element with text of its own: the text, its colour and what is behind it.
function texts() {
  const own = (element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.nodeValue.trim());
  return all("body *")
    .filter((element) => own(element) && element.getClientRects().length)
    .map((element) => [element.textContent.trim().slice(0, 40), style(element).color, behind(element)]);
}

function dots() {
  return all(".dot")
    .filter((dot) => dot.getClientRects().length)
    .map((dot) => [style(dot).borderTopColor, behind(dot.parentElement)]);
}

function focused() {
  const element = document.activeElement;
  const top = element.getBoundingClientRect().top + scrollY;
  return [style(element).outlineStyle, parseFloat(style(element).outlineWidth), top];
}

function table(found) {
  const rows = [...found.tBodies[0].rows];
  const head = [...found.tHead.rows[0].cells];
  return {
    caption: found.caption?.textContent.trim(),
    columns: head.every((cell) => cell.nodeName === "TH" && cell.scope === "col" && cell.textContent.trim()),
    rows: rows.every((row) => row.cells[0].nodeName === "TH" && row.cells[0].scope === "row"),
    even: rows.every((row) => row.cells.length === head.length),
  };
}

function structure() {
  const labelOf = (element) => document.getElementById(element.getAttribute("aria-labelledby"));
  const named = (element) => element.getAttribute("aria-label") || labelOf(element)?.textContent.trim();
  const short = (element) => element.outerHTML.slice(0, 99);
  const ids = all("[id]").map((element) => element.id);
  return {
    language: document.documentElement.lang,
    title: document.title,
    headings: all("h1, h2, h3").map((heading) => Number(heading.nodeName[1])),
    landmarks: ["body > header", "header > nav", "body > main", "body > footer"].map((one) => all(one).length),
    tables: all("table").map(table),
    faults: {
      repeated: ids.filter((id, at) => ids.indexOf(id) !== at),
      unnamed: all("nav, section, [role=region]").filter((element) => !named(element)).map(short),
      dangling: all("[aria-labelledby]").filter((element) => !labelOf(element)).map(short),
      unlabelled: all("input").filter((input) => !input.labels.length).map(short),
      empty: all("a, button").filter((element) => !element.textContent.trim()).map(short),
      unreachable: all(".scroll").filter((element) => element.tabIndex !== 0).map(short),
      outOfOrder: all("[tabindex]").filter((element) => element.tabIndex > 0).map(short),
      spoken: all(".dot, .mark").filter((element) => element.ariaHidden !== "true").map(short),
    },
  };
}
