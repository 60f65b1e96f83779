// The head of the page: the host, its hub, the cable; and what is wrong with the app as a whole.

import { ask } from "./api.js";
import { el, find, keep, say, span, tell } from "./dom.js";

/** What this browser may do. */
export const access = { may_act: false, local: false };

const cable = find("#cable");
let plugged = null;

export function showAccess(told) {
  Object.assign(access, told);
}

export function showHost(host) {
  document.title = `${host.app} - edgefn`;
  say(find("#app"), host.app);
  const hub = `hub ${host.hub.name} ${host.hub.state}${host.hub.lost && host.hub.state !== "online" ? ` (${host.hub.lost})` : ""}`;
  say(find("#host"), `${host.state} for ${span(host.uptime)} · ${hub} · edgefn ${host.version}`);
  plugged = host.plugged;
  cable.hidden = plugged === null || !access.may_act;
  say(cable, plugged ? "Pull the cable" : "Plug the cable in");
  cable.classList.toggle("first", plugged === false);
  showErrors(host);
}

function showErrors(host) {
  const blocked = Object.entries(host.blocked).map(([line, times]) => `The event loop stood still: ${line} (${times})`);
  const errors = [...host.errors, ...blocked];
  find("#errors").hidden = errors.length === 0;
  keep(find("#errors ul"), errors, (text) => text, (text) => el("li", { textContent: text }));
}

cable.addEventListener("click", async () => {
  try {
    await ask("cable", { plugged: !plugged });
  } catch (error) {
    tell(error.message);
  }
});
