"""Who comes and goes: takes the messages of `detect`, and tells when a kind of object enters or leaves the street."""

import edgefn

app = edgefn.FunctionApp()
on_the_street: set[str] = set()


@app.edge_hub_trigger(arg_name="detections", input_name="detections")
@app.edge_hub_output(arg_name="passages", output_name="passages", properties={"kind": "passage"})
def passages(detections: dict, passages: edgefn.Out[list]) -> None:
    seen = {found["name"] for found in detections["objects"]}
    events = [("enter", name) for name in sorted(seen - on_the_street)]
    events += [("leave", name) for name in sorted(on_the_street - seen)]
    on_the_street.clear()
    on_the_street.update(seen)
    passages.set([{"event": event, "name": name, "timestamp": detections["timestamp"]} for event, name in events])
