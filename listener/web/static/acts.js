// One key for each thing that a reader can say: a button or link with data-key is pressed by it.

import { onKey } from "./page.js";

onKey("n", () => document.getElementById("act-note")?.focus());
for (const button of document.querySelectorAll("[data-key]")) {
  onKey(button.dataset.key, () => button.click());
}
