// The tab's icon says what the desk holds, also in a tab that is not looked at: a code in the tray, which has those that are
// not in sight, else numbers of one's own that wait. The element stays and only its address changes, so that the icon does not flicker.
const icon = document.querySelector("link[rel=icon]");
const plain = icon.href;
const board = document.getElementById("board");
const tray = document.getElementById("tray");

function showState() {
  const waits = board.querySelector(":scope > .is-mine[data-status=waiting]");
  const state = tray.hidden ? (waits ? "waiting" : "") : "code";
  const address = state ? new URL(icon.dataset[state], location).href : plain;
  if (icon.href !== address) icon.href = address;
}

new MutationObserver(showState).observe(board, { childList: true });
new MutationObserver(showState).observe(tray, { attributeFilter: ["hidden"] });
showState();
