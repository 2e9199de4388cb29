// Tells the server, at most once a minute, that somebody is at the page; goes to the sign-in when the page is locked.

const EVERY_MS = 60_000;
const token = document.querySelector("meta[name=csrf-token]").content;
let toldAt = Date.now();

async function tell() {
  if (Date.now() - toldAt < EVERY_MS) return;
  toldAt = Date.now();
  const answer = await fetch("/api/session/activity", { method: "POST", headers: { "X-CSRF-Token": token } });
  if (answer.status === 401 || answer.status === 403) location.reload();
}

for (const kind of ["keydown", "pointerdown", "wheel", "pointermove"]) {
  document.addEventListener(kind, () => tell().catch(() => {}), { passive: true });
}
