// Tells the server that somebody is at the page, at most once a minute. When nobody is for as long as the session allows,
// what the page shows is hidden, and the sign-in comes. Another page of the session may be in use: then nothing is locked.

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
  content.hidden = true; // until the server says that somebody is there: it may be away
  const answer = await fetch("/api/session");
  const signedIn = answer.ok && (await answer.json()).idle_lock_s !== null;
  if (!signedIn) return location.reload();
  content.hidden = false;
}

async function watch() {
  const answer = await fetch("/api/session");
  const lockMs = 1000 * (await answer.json()).idle_lock_s;
  tellEveryMs = Math.min(tellEveryMs, lockMs / 4);
  setInterval(() => {
    if (Date.now() - actedAt >= lockMs || content.hidden) look().catch(() => {});
  }, Math.min(10_000, lockMs / 4));
}

for (const kind of ["keydown", "pointerdown", "wheel", "pointermove"]) {
  document.addEventListener(kind, () => tell().catch(() => {}), { passive: true });
}
watch().catch(() => {});
