// Tells the server that somebody is at the page, at most once a minute. When nobody is for as long as the session allows,
// what the page shows is hidden, and the sign-in comes. Another page of the session may be in use: then nothing is locked.

const ASK_MS = 10_000;
const token = document.querySelector("meta[name=csrf-token]").content;
const content = document.getElementById("content");
let actedAt = Date.now();
let toldAt = actedAt;
let tellEveryMs = 60_000;

async function tell() {
  actedAt = Date.now();
  if (actedAt - toldAt < tellEveryMs) return;
  toldAt = actedAt;
  const answer = await fetch("/api/session/activity", { method: "POST", headers: { "X-CSRF-Token": token } });
  if (answer.status === 401 || answer.status === 403) location.reload();
}

async function look() {
  try {
    const answer = await fetch("/api/session", { signal: AbortSignal.timeout(ASK_MS) });
    if (!answer.ok || (await answer.json()).idle_lock_s === null) return location.reload();
    content.hidden = false;
  } catch {
    content.hidden = true; // the server is away: nobody says whether somebody is there
  }
}

async function watch() {
  const answer = await fetch("/api/session");
  const lockMs = 1000 * (await answer.json()).idle_lock_s;
  tellEveryMs = Math.min(tellEveryMs, lockMs / 4);
  setInterval(() => {
    if (Date.now() - actedAt >= lockMs || content.hidden) look();
  }, Math.min(ASK_MS, lockMs / 4));
}

function begin() {
  watch().catch(() => setTimeout(begin, ASK_MS));
}

for (const kind of ["keydown", "pointerdown", "wheel", "pointermove"]) {
  document.addEventListener(kind, () => tell().catch(() => {}), { passive: true });
}
begin();
