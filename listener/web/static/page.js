// What every page has: the theme, the help dialog, and one table of keys. Pages add keys with onKey().

const YEAR_S = 365 * 24 * 3600;
const keys = new Map();
let pending = "";

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
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (isTyping(event.target)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (document.querySelector("dialog[open]")) return;
  const both = `${pending} ${event.key}`;
  const act = keys.get(both) ?? keys.get(event.key);
  pending = event.key.length === 1 ? event.key : "";
  if (act && act(event) !== false) event.preventDefault();
}

function startTheme() {
  const select = document.getElementById("theme");
  select.parentElement.hidden = false;
  select.addEventListener("change", () => {
    document.documentElement.dataset.theme = select.value;
    document.cookie = `icansee-theme=${select.value}; path=/; max-age=${YEAR_S}; SameSite=Strict`;
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
onKey("g w", () => location.assign("/"));
onKey("g o", () => location.assign("/operations"));
document.addEventListener("keydown", pressed);
