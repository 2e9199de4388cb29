// Text that was typed and not sent outlives the page: a locked session, a lost connection, a page that is loaded again.
// It is kept in this tab for the account that typed it, for a day at most, and forgotten when it was sent or at sign-out.

import { say } from "./page.js";

const PREFIX = "icansee-draft ";
const LONGEST_MS = 24 * 3600 * 1000;
const account = document.querySelector(".who a")?.textContent ?? "";
const keyOf = (field) => `${PREFIX}${account} ${location.pathname} ${field.dataset.draft}`;

function kept(field) {
  const { text, at } = JSON.parse(sessionStorage.getItem(keyOf(field)) ?? "{}");
  return text && Date.now() - at < LONGEST_MS ? text : "";
}

function keep(field) {
  if (field.value.trim()) sessionStorage.setItem(keyOf(field), JSON.stringify({ text: field.value, at: Date.now() }));
  else sessionStorage.removeItem(keyOf(field));
}

/** Did the text arrive? The page shows what did in elements with data-sent. */
function arrived(text) {
  return [...document.querySelectorAll("[data-sent]")].some((one) => one.textContent.trim() === text.trim());
}

function restore(field) {
  const text = kept(field);
  if (!text || arrived(text)) return sessionStorage.removeItem(keyOf(field));
  if (field.value === text) sessionStorage.removeItem(keyOf(field)); // the answer to what was sent shows it
  if (field.value) return;
  field.value = text;
  const words = "What you wrote here was not sent. It is still there.";
  const note = document.createElement("p");
  note.className = "note draft";
  note.textContent = words;
  (field.closest("p") ?? field.form ?? field).after(note); // beside the field it would take its room
  say(words);
}

/** A text that is too long is refused before it is sent: a browser that cut it would lose its end without a word. */
function checkLength(field) {
  const longest = Number(field.dataset.longest);
  const found = [...field.value].length;
  field.setCustomValidity(longest && found > longest ? `${found} characters: at most ${longest} are taken.` : "");
}

for (const field of document.querySelectorAll("[data-draft]")) {
  restore(field);
  checkLength(field);
  field.addEventListener("input", () => {
    keep(field);
    checkLength(field);
  });
}
document.querySelector("form.who")?.addEventListener("submit", () => {
  for (const key of Object.keys(sessionStorage)) if (key.startsWith(PREFIX)) sessionStorage.removeItem(key);
});
