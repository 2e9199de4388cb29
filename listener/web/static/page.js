// What every page has: the theme, the help dialog, and one table of keys. Pages add keys with onKey().

const YEAR_S = 365 * 24 * 3600;
const keys = new Map();
const root = document.documentElement;
let pending = "";

/** The sign of a key that is pressed together with Alt: a Mac writes another one then. */
function signBehindAlt(event) {
  const [, letter, digit] = /^(?:Key([A-Z])|Digit(\d))$/.exec(event.code) ?? [];
  if (letter) return event.shiftKey ? letter : letter.toLowerCase();
  return digit !== undefined && !event.shiftKey ? digit : event.key;
}

/** What counts as pressed; "": nothing. Keys with a sign act as the person chose (WCAG 2.1.4), arrows and the like always. */
function keyOf(event) {
  const graph = event.getModifierState("AltGraph"); // many keyboards write brackets with it; Windows calls it Ctrl and Alt
  const alt = event.altKey && !graph;
  if ((event.ctrlKey && !graph) || event.metaKey) return "";
  if (event.key.length > 1) return alt ? "" : event.key;
  const use = root.dataset.keys;
  if (use === "off" || (use === "alt") !== alt) return "";
  return alt ? signBehindAlt(event) : event.key;
}

/** A key in (`j`, `Enter`, or two pressed one after the other: `g w`), what it does registered. */
export function onKey(key, act) {
  keys.set(key, act);
}

/** A sentence in, spoken by a screen reader after what it says now. */
export function say(sentence) {
  document.getElementById("said").textContent = sentence;
}

function isTyping(element) {
  return element instanceof HTMLElement && (element.isContentEditable || element.matches("input:not([type=checkbox], [type=radio], [type=range]), select, textarea"));
}

function pressed(event) {
  if (event.defaultPrevented) return;
  if (isTyping(event.target)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const key = keyOf(event);
  if (key === "" || document.querySelector("dialog[open]")) return;
  const both = `${pending} ${key}`;
  const act = keys.get(both) ?? keys.get(key);
  pending = key.length === 1 ? key : "";
  if (act && act(event) !== false) event.preventDefault();
}

function startTheme() {
  const select = document.getElementById("theme");
  select.parentElement.hidden = false;
  select.addEventListener("change", () => {
    root.dataset.theme = select.value;
    keep("icansee-theme", select.value);
  });
}

function keep(cookie, value) {
  document.cookie = `${cookie}=${value}; path=/; max-age=${YEAR_S}; SameSite=Strict`;
}

/** An account keeps how keys act, at every workplace; without one this browser does. */
function startKeyUse() {
  const select = document.getElementById("key-use");
  select.addEventListener("change", async () => {
    root.dataset.keys = select.value;
    if (!document.querySelector("form.who")) return keep("icansee-keys", select.value);
    const headers = { "X-CSRF-Token": document.querySelector("meta[name=csrf-token]").content, "Content-Type": "application/json" };
    const body = JSON.stringify({ keys: select.value });
    const answer = await fetch("/api/session/keys", { method: "POST", headers, body }).catch(() => null);
    if (!answer?.ok) say("This could not be kept now: it counts for this page only.");
  });
}

function startHelp() {
  const dialog = document.getElementById("help");
  const open = document.getElementById("help-open");
  open.hidden = false;
  open.addEventListener("click", () => dialog.showModal());
  onKey("?", () => dialog.showModal());
}

startTheme();
startHelp();
startKeyUse();
for (const link of document.querySelectorAll("header nav a[data-go]")) onKey(`g ${link.dataset.go}`, () => link.click());
document.addEventListener("keydown", pressed);
