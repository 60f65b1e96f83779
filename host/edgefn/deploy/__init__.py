"""From app folders to boxes and clusters: images, the deployment manifest of IoT Edge, what is wrong with one, how it
gets there, and the objects of apps on Kubernetes.

    folder -> command of a container engine (image.py, by the Dockerfile)
    app -> Module (module.py: environment, create options, twin) -> document (manifest.py, with routing.py)
    app -> Workload -> objects (kubernetes.py: pod.py, and how many by replicas.py)
    file -> findings (check/)        file -> commands of the Azure CLI (azure.py)

Nothing here opens a model, a camera or a connection.
"""
