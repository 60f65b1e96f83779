"""From app folders to boxes: the deployment manifest of IoT Edge, what is wrong with one, and how it gets there.

    app -> Module (module.py: environment, create options, twin) -> document (manifest.py, with routing.py)
    file -> findings (check/)        file -> commands of the Azure CLI (azure.py)

Nothing here opens a model, a camera or a connection.
"""
