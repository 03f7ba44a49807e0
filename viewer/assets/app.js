// What pages do beyond links and forms: fill by themselves, and draw flame graphs.

const REFRESH_MS = 400;

// A part of the page that is fetched anew when something has arrived. The server has escaped what is in it.
function keepLive(part) {
  let isBusy = false;
  let isStale = false;
  let isPressed = false;
  // What somebody fills in, has chosen or is clicking on is not taken away from under their hands.
  const isInUse = () => isPressed || part.contains(document.activeElement) && document.activeElement.matches("input, select");
  async function refresh() {
    if (isBusy || isInUse()) {
      isStale = true;
      return;
    }
    isBusy = true;
    isStale = false;
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      if (answer.ok) {
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("live");
        // Asked again: the answer has taken its time.
        if (isInUse()) {
          isStale = true;
        } else if (fresh) {
          part.replaceChildren(...fresh.childNodes);
          mark();
        }
      }
    } catch {
      // The viewer is away: the next arrival tries again.
    }
    isBusy = false;
    if (isStale) setTimeout(refresh, REFRESH_MS);
  }
  const mark = () => document.body.classList.toggle("is-live", source.readyState === EventSource.OPEN);
  const source = new EventSource("/events");
  source.addEventListener("arrived", refresh);
  source.addEventListener("open", mark);
  source.addEventListener("error", mark);
  part.addEventListener("focusout", () => isStale && setTimeout(refresh, 0));
  part.addEventListener("pointerdown", (event) => (isPressed ||= event.button === 0));
  // After the click that this ends with.
  const release = () => setTimeout(() => {
    isPressed = false;
    if (isStale) refresh();
  }, 0);
  document.addEventListener("pointerup", release);
  document.addEventListener("pointercancel", release);
}

const live = document.querySelector("#live[data-live]");
if (live) keepLive(live);

const flames = document.querySelectorAll(".flame");
if (flames.length > 0) {
  const { show } = await import("./flame.js");
  flames.forEach((flame) => show(flame));
}
