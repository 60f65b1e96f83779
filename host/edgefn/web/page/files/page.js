// The page: reads the events of the host, and gives each section to the part that shows it.

import { pause, readEvents } from "./api.js";
import { showSamples } from "./charts.js";
import { find, paint } from "./dom.js";
import { showAccess, showHost } from "./host.js";
import { showFunctions } from "./functions.js";
import { showInvocations } from "./invocations.js";
import { showMessages, showOutputs } from "./messages.js";
import { showSources } from "./sources.js";
import { showLetters, showStore } from "./store.js";
import { showTwin } from "./twin.js";

const PARTS = {
  access: [showAccess],
  host: [showHost],
  functions: [showFunctions, showOutputs],
  sources: [showSources],
  store: [showStore],
  letters: [showLetters],
  messages: [showMessages],
  twin: [showTwin],
  invocations: [showInvocations],
  samples: [showSamples],
};

function take(name, section) {
  find("main").hidden = false;
  paint(find("#link"), "live", "good live");
  for (const show of PARTS[name] ?? []) show(section);
}

async function follow() {
  for (let wait = 500; ; wait = Math.min(wait * 2, 8000)) {
    const began = Date.now();
    try {
      await readEvents("events", take);
    } catch {
      // The host is away: the state says so, and it is asked again.
    }
    paint(find("#link"), "no connection", "bad");
    if (Date.now() - began > 10000) wait = 500;
    await pause(wait);
  }
}

follow();
