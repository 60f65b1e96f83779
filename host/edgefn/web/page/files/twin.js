// Desired and reported properties; the desired ones can be edited where the hub is inside the process.

import { ask } from "./api.js";
import { find, say, tell } from "./dom.js";
import { access } from "./host.js";

const twin = find("#twin");
const [edit, form, shown, text, fault] = [".edit", "form", "#desired", "textarea", ".fault"].map((each) => find(each, twin));

export function showTwin(told) {
  say(shown, JSON.stringify(told.desired, null, 2));
  say(find("#reported"), JSON.stringify(told.reported, null, 2));
  edit.hidden = !(access.local && access.may_act) || !form.hidden;
  const verdict = find(".verdict", twin);
  const refused = told.verdict !== null && told.verdict.fault !== "";
  verdict.classList.toggle("bad", refused);
  say(verdict, words(told, refused));
}

function words(told, refused) {
  if (told.verdict === null) return `version ${told.version}`;
  if (refused) return `version ${told.verdict.version} is refused: ${told.verdict.fault}`;
  return `version ${told.verdict.version} is in force${told.version === told.verdict.version ? "" : `, version ${told.version} is to come`}`;
}

function turn(editing) {
  form.hidden = !editing;
  shown.hidden = edit.hidden = editing;
  say(fault, "");
  (editing ? text : edit).focus();
}

edit.addEventListener("click", async () => {
  try {
    text.value = JSON.stringify((await ask("twin")).desired, null, 2);
    turn(true);
  } catch (error) {
    tell(error.message);
  }
});

find(".cancel", twin).addEventListener("click", () => turn(false));

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const desired = JSON.parse(text.value || "{}");
    const { version } = await ask("desired", { desired });
    turn(false);
    tell(`Desired properties, version ${version}`);
  } catch (error) {
    say(fault, error.message);
  }
});
