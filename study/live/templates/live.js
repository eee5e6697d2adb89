// Follows a run: once a second asks for this page again, and where it has changed puts the new parts in place.
"use strict";
const EVERY_MS = 1000;
let tag = null;

async function refresh() {
  const connection = document.getElementById("connection");
  try {
    if (!document.hidden) {
      const headers = tag ? {"If-None-Match": tag} : {};
      const answer = await fetch(location.href, {headers, cache: "no-store"});
      if (answer.ok) {
        tag = answer.headers.get("ETag");
        replace(new DOMParser().parseFromString(await answer.text(), "text/html"));
      }
      connection.textContent = "";
    }
  } catch {
    connection.textContent = "The server does not answer; trying again.";
  }
  setTimeout(refresh, EVERY_MS);
}

function replace(page) {
  for (const part of document.querySelectorAll("[data-live]")) {
    const fresh = page.getElementById(part.id);
    if (fresh && fresh.outerHTML !== part.outerHTML && !part.contains(document.activeElement)) {
      part.replaceWith(document.adoptNode(fresh));
    }
  }
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
  const links = {ArrowLeft: "prev", ArrowRight: "next", u: "up"};
  if (links[event.key] && (event.key === "u" || !event.target.closest(".cards, .scroll, pre"))) {
    (document.querySelector(`a[rel=${links[event.key]}]`) ||
      (event.key === "u" && document.querySelector("a[rel=index]")))?.click();
  } else if (event.key === "/") {
    event.preventDefault();
    document.querySelector("input[type=search]")?.focus();
  } else if (event.key === "j" || event.key === "k") {
    const cards = [...document.querySelectorAll(".card")];
    const place = cards.indexOf(document.activeElement.closest(".card")) + (event.key === "j" ? 1 : -1);
    const card = cards[Math.max(0, Math.min(cards.length - 1, place))];
    card?.focus();
    card?.scrollIntoView({block: "nearest", inline: "start"});
  }
});

if (document.body.hasAttribute("data-refresh")) setTimeout(refresh, EVERY_MS);
