// The worklist: keys, live rows, saved views. The address is the only state; the server renders every row.

import { onKey, say } from "./page.js";

const AGE_EVERY_MS = 30_000;
const STALE_AFTER_MS = 5_000;
const WHOLE_AFTER_MS = 1_000;
const OPENED = "icansee-opened"; // studies opened in this tab, with the version that was seen

const list = () => document.getElementById("list");
const rows = () => [...document.querySelectorAll("#rows .row")];
const link = (row) => row.querySelector("a.open");
const focused = () => document.activeElement?.closest?.("#rows .row") ?? null;

// --- keys

function focusRow(row) {
  if (!row) return false;
  link(row).focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
  return true;
}

function step(by) {
  const all = rows();
  const at = all.indexOf(focused());
  if (at < 0) return focusRow(by > 0 ? all[0] : all.at(-1));
  return focusRow(all[Math.min(all.length - 1, Math.max(0, at + by))]);
}

function opened() {
  return new Set(JSON.parse(sessionStorage.getItem(OPENED) ?? "[]"));
}

function isUnread(row) {
  return row.dataset.version !== "" && !opened().has(`${row.dataset.uid} ${row.dataset.version}`);
}

function nextUnread() {
  const all = rows();
  const at = all.indexOf(focused());
  const found = [...all.slice(at + 1), ...all.slice(0, at + 1)].find(isUnread);
  if (!found) say("Every study of this window was opened.");
  return focusRow(found);
}

function startKeys() {
  for (const key of ["j", "ArrowDown"]) onKey(key, () => step(1));
  for (const key of ["k", "ArrowUp"]) onKey(key, () => step(-1));
  onKey("Home", () => focusRow(rows()[0]));
  onKey("End", () => focusRow(rows().at(-1)));
  onKey("n", nextUnread);
  onKey("]", () => document.getElementById("following")?.click());
  onKey("c", () => location.assign("/"));
  onKey("/", () => document.getElementById("find").select() ?? document.getElementById("find").focus());
  document.addEventListener("click", (event) => {
    const row = event.target.closest?.("#rows .row");
    if (!row) return;
    if (event.target.closest("a.open[href]")) {
      const known = opened().add(`${row.dataset.uid} ${row.dataset.version}`);
      sessionStorage.setItem(OPENED, JSON.stringify([...known]));
    } else if (!event.target.closest("a")) focusRow(row);
  });
}

// --- live rows

let order = []; // of the rows as the server has them; a focused row may stand elsewhere until the focus leaves it
let asking = false;
let askAgain = false;
let tag = document.querySelector("meta[name=list-tag]").content; // of the rows at hand; "": a part of them waits

async function refresh() {
  if (asking) {
    askAgain = true;
    return;
  }
  asking = true;
  try {
    const headers = { Accept: "text/html", "If-None-Match": tag };
    const answer = await fetch(`/rows${location.search}`, { headers, cache: "no-store" });
    if (answer.redirected || answer.status === 401 || answer.status === 403) return location.reload();
    if (answer.status === 304) return stale("");
    if (!answer.ok) throw new Error(String(answer.status));
    // what has the focus is left as it is: these rows are asked for again when the focus has moved
    tag = merge(await answer.text()) ? answer.headers.get("ETag") : "";
    stale("");
  } catch {
    stale("The list cannot be loaded now. It may be old.");
  } finally {
    asking = false;
  }
  if (askAgain) {
    askAgain = false;
    await refresh();
  }
}

const sources = new Map(); // id of a row -> its HTML as it came last, without its ages

/** The HTML of the list in; its rows by their ids, and what is around them out. Texts of patients hold no "<". */
function cut(html) {
  const [head, ...parts] = html.split('<tr id="');
  const found = new Map();
  let tail = "";
  for (const part of parts) {
    const end = part.indexOf("</tr>") + "</tr>".length;
    found.set(part.slice(0, part.indexOf('"')), `<tr id="${part.slice(0, end)}`);
    tail = part.slice(end);
  }
  return { rows: found, around: head + tail };
}

const parsed = (html) => new DOMParser().parseFromString(html, "text/html");
const withoutAges = (html) => html.replaceAll(/>[^<]*<\/time>/g, "></time>");

/** The new list in; the old one changed into it. Only rows that changed are parsed: 200 of them take long.
 *  False out: something that has the focus was left as it was. */
function merge(html) {
  const before = order;
  const { rows: fresh, around } = cut(html);
  const body = document.querySelector("#rows tbody");
  if (!body || !fresh.size) {
    if (list().contains(document.activeElement)) return false; // an empty list: when the focus has left
    list().replaceWith(parsed(html).getElementById("list"));
    order = rows().map((row) => row.id);
    return true;
  }
  const page = parsed(around);
  let whole = true;
  for (const part of [".bar", ".tallies", ".warning", ".cut"]) whole = replacePart(page, part) && whole;
  const old = new Map(rows().map((row) => [row.id, row]));
  const kept = focused();
  const changed = [...fresh].filter(([id, source]) => !old.has(id) || sources.get(id) !== withoutAges(source));
  const made = parsed(`<table><tbody>${changed.map(([, source]) => source).join("")}</tbody></table>`);
  for (const row of made.querySelectorAll("tr")) {
    const known = old.get(row.id);
    if (!known) {
      row.classList.add("fresh");
      body.append(row);
    } else if (known === kept) whole = updateKept(known, row) && whole;
    else if (known.outerHTML !== row.outerHTML) known.replaceWith(row);
  }
  for (const [id, row] of old) {
    if (fresh.has(id)) continue;
    if (row === kept) row.classList.add("leaving");
    else row.remove();
  }
  order = [...fresh.keys()];
  for (const [id, source] of fresh) sources.set(id, withoutAges(source));
  sources.delete(kept?.id); // its cell with the focus was left as it is: it is compared again
  place();
  announce(before);
  return whole;
}

/** A focused row keeps its element: its cells are changed around the link. False out: the words of the link are old. */
function updateKept(row, fresh) {
  let whole = true;
  row.className = fresh.className;
  row.dataset.version = fresh.dataset.version;
  [...fresh.cells].forEach((cell, at) => {
    const own = row.cells[at];
    if (own.contains(document.activeElement)) {
      const [anchor, freshAnchor] = [link(row), link(fresh)];
      for (const name of ["href", "role", "aria-disabled", "tabindex"]) {
        if (freshAnchor.hasAttribute(name)) anchor.setAttribute(name, freshAnchor.getAttribute(name));
        else anchor.removeAttribute(name);
      }
      whole = own.textContent === cell.textContent;
    } else if (own.innerHTML !== cell.innerHTML) own.replaceWith(cell.cloneNode(true));
  });
  return whole;
}

/** Put the rows in order. The focused row stays where it is on the screen: the others move around it. */
function place() {
  const body = document.querySelector("#rows tbody");
  const kept = focused();
  const top = kept?.getBoundingClientRect().top;
  const wanted = order.filter((id) => id !== kept?.id).map((id) => document.getElementById(id));
  if (kept) wanted.splice(Math.min(rows().indexOf(kept), wanted.length), 0, kept);
  wanted.forEach((row, at) => {
    if (body.rows[at] === row) return;
    if (row === kept) moveBefore(body, row, at);
    else body.insertBefore(row, body.rows[at] ?? null);
  });
  if (!kept) return void (body.style.marginTop = "");
  const moved = () => kept.getBoundingClientRect().top - top;
  window.scrollBy(0, moved());
  // rows differ in height, and at its ends the page cannot be scrolled
  if (moved()) body.style.marginTop = `${(parseFloat(body.style.marginTop) || 0) - moved()}px`;
}

/** An element that is moved loses its focus, so that the rows before it move instead. */
function moveBefore(body, row, at) {
  while (body.rows[at] !== row) body.append(body.rows[at]);
}

/** False out: it has the focus and was left as it was. */
function replacePart(fresh, selector) {
  const [own, other] = [list().querySelector(selector), fresh.querySelector(selector)];
  if (own?.outerHTML === other?.outerHTML) return true;
  if (own?.contains(document.activeElement)) return false;
  if (own && other) own.replaceWith(other);
  else if (own) own.remove();
  else if (selector === ".cut") document.getElementById("rows").after(other);
  else document.getElementById("rows").before(other);
  return true;
}

function announce(before) {
  if (!before.length) return;
  const known = new Set(before);
  const fresh = order.filter((id) => !known.has(id)).length;
  const gone = before.filter((id) => !order.includes(id)).length;
  const said = [];
  if (fresh) said.push(`${fresh} new`);
  if (gone) said.push(`${gone} gone`);
  if (!said.length && order.join() === before.join()) return;
  const first = document.getElementById(order[0]);
  const place = first && before[0] !== order[0] ? ` First is now ${first.querySelector(".badge").textContent}.` : "";
  say(`The list changed${said.length ? `: ${said.join(", ")}` : ", rows moved"}.${place}`);
}

// --- the connection

let source = null;
let staleTimer = 0;

function stale(sentence) {
  clearTimeout(staleTimer);
  staleTimer = 0;
  const note = document.getElementById("stale");
  note.textContent = sentence;
  note.hidden = sentence === "";
}

function connect() {
  source = new EventSource("/events");
  source.addEventListener("hello", () => {
    refresh(); // something may have changed while nobody listened
  });
  source.addEventListener("changed", refresh);
  source.addEventListener("away", () => stale("The index does not answer now. The list may be old."));
  source.addEventListener("error", () => {
    staleTimer ||= setTimeout(() => stale("The connection is lost. The list may be old."), STALE_AFTER_MS);
    if (source.readyState === EventSource.CLOSED) setTimeout(reconnect, STALE_AFTER_MS);
  });
}

function reconnect() {
  if (document.visibilityState === "hidden") return;
  source?.close();
  connect();
}

function startLive() {
  order = rows().map((row) => row.id);
  // the second event also tells that the focus went nowhere
  document.addEventListener("focusin", settle);
  document.addEventListener("focusout", (event) => event.relatedTarget ?? setTimeout(settle));
  // a browser has six connections for all tabs: a tab that nobody sees gives its own back
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "hidden") source?.close();
    else reconnect();
  });
  connect();
}

/** The focus has moved: rows that waited for it take their places, and what was left as it was is asked for. */
function settle() {
  for (const row of document.querySelectorAll("#rows .leaving")) if (row !== focused()) row.remove();
  if (document.querySelector("#rows tbody")) place();
  if (tag === "") refresh();
}

function ageWords(minutes) {
  const hours = Math.floor(minutes / 60);
  const long = hours < 48 ? `${hours} h ${String(minutes % 60).padStart(2, "0")}` : `${Math.floor(hours / 24)} d`;
  return minutes < 60 ? `${minutes} min` : long;
}

/** As listener.web.lines words them. */
function timeWords(time) {
  const past = Date.now() - Date.parse(time.dateTime);
  const words = ageWords(Math.floor(Math.abs(past) / 60_000));
  if (!time.classList.contains("due")) return past < 0 ? ageWords(0) : words;
  time.classList.toggle("late", past >= 0);
  return past >= 0 ? `late by ${words}` : `in ${words}`;
}

function updateAges() {
  for (const time of document.querySelectorAll("#rows time")) {
    const words = timeWords(time);
    if (time.textContent !== words) time.textContent = words;
  }
}

// --- saved views: the server keeps them, by account

function startViews() {
  const [save, dialog] = ["view-save", "view-name"].map((id) => document.getElementById(id));
  save.hidden = false;
  save.addEventListener("click", () => dialog.showModal());
  onKey("s", () => dialog.showModal());
}

function startNarrowing() {
  const form = document.querySelector("form.narrow");
  form.querySelector("button").hidden = true;
  form.addEventListener("change", () => form.requestSubmit());
}

startKeys();
startLive();
startViews();
startNarrowing();
setInterval(updateAges, AGE_EVERY_MS);
// the first frame is drawn and takes keys: now its pictures are asked for
requestAnimationFrame(() => setTimeout(() => document.body.classList.add("usable")));
// rows below the screen are laid out when the page can be used: Chromium tells a screen reader nothing of them before
setTimeout(() => document.body.classList.add("whole"), WHOLE_AFTER_MS);
