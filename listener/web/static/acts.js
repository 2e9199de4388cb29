// One key for each thing that a reader can say: a button or link with data-key is pressed by it.

import { onKey } from "./page.js";

const note = document.getElementById("act-note");
onKey("n", () => note?.focus());
for (const button of document.querySelectorAll("[data-key]")) {
  onKey(button.dataset.key, () => button.click());
}
// the note goes with the next button, whichever it is
for (const form of document.querySelectorAll(".acts .findings form")) {
  form.addEventListener("submit", (event) => {
    if (note.reportValidity()) return;
    event.preventDefault();
  });
  form.addEventListener("formdata", (event) => event.formData.set("note", note.value));
}
