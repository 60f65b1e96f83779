"""Answers pictures as a container of Azure Custom Vision does: POST /image, and all the other addresses of it.

A picture is the body, or the part imageData of a form. ``/url`` fetches pictures from the hosts that the setting
URL_HOSTS names, with commas between them, and from no other; without any it is off.
"""

import azure.functions as func
import edgefn
from edgefn import custom_vision

app = edgefn.FunctionApp(http_auth_level=func.AuthLevel.__AUTH_LEVEL__)


@app.route(custom_vision.ROUTE)
@app.inference_session(arg_name="model", model="__MODEL__", device="%DEVICE%", resize="__RESIZE__")
@app.setting(arg_name="hosts", name="URL_HOSTS", default="")
def __NAME__(req: func.HttpRequest, model: edgefn.__TASK__Session, hosts: str) -> func.HttpResponse:
    return custom_vision.answer(req, model.infer, hosts)
