// The page of a young decision whose files are being written: ask until they are there, then show them.

const note = document.getElementById("not-written");
const AGAIN_MS = 3000;

async function ask() {
  const answer = await fetch(note.dataset.asked, { headers: { Accept: "application/json" } }).catch(() => null);
  const typing = document.activeElement?.matches("textarea, input, select");
  if (answer !== null && answer.status !== 503 && answer.status < 500 && !typing) return location.reload();
  setTimeout(ask, AGAIN_MS);
}

if (note !== null) setTimeout(ask, AGAIN_MS);
