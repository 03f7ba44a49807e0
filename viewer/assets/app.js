// What pages do beyond links and forms: fill by themselves, and draw flame graphs.

const REFRESH_MS = 400;

// A part of the page that is fetched anew when something has arrived. The server has escaped what is in it.
function keepLive(part) {
  let isBusy = false;
  let isStale = false;
  async function refresh() {
    // What somebody fills in or has chosen is not taken away from under their hands.
    if (isBusy || part.contains(document.activeElement) && document.activeElement.matches("input, select")) {
      isStale = true;
      return;
    }
    isBusy = true;
    isStale = false;
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      if (answer.ok) {
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("live");
        if (fresh) {
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
}

const live = document.querySelector("#live[data-live]");
if (live) keepLive(live);

const flames = document.querySelectorAll(".flame");
if (flames.length > 0) {
  const { show } = await import("./flame.js");
  flames.forEach((flame) => show(flame));
}
