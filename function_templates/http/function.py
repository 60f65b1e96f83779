"""Answers requests: GET /api/__NAME__?name=Ada, or POST {"name": "Ada"}."""

import json

import azure.functions as func
import edgefn

app = edgefn.FunctionApp()


@app.route(route="__NAME__", methods=["GET", "POST"], auth_level=func.AuthLevel.__AUTH_LEVEL__)
def __NAME__(req: func.HttpRequest) -> func.HttpResponse:
    name = req.params.get("name") or _name_in(req)
    if not name:
        return _reply({"error": "name: is missing; ?name=Ada would be right"}, 400)
    return _reply({"message": f"Hello, {name}."})


def _name_in(req: func.HttpRequest) -> str:
    """The name in a JSON body; empty where there is none."""
    try:
        document = req.get_json()
    except ValueError:
        return ""
    return str(document.get("name", "")) if isinstance(document, dict) else ""


def _reply(document: dict[str, str], status: int = 200) -> func.HttpResponse:
    return func.HttpResponse(json.dumps(document), status_code=status, mimetype="application/json")
