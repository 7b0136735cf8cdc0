"""A policy of the cluster: an admission webhook that refuses changes in a project's namespaces."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from tests.support.githost.certificates import private_authority
from tests.support.kubernetes.server import KubernetesServer

_PATH = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"


@contextmanager
def refusing_policy(
    kubernetes: KubernetesServer,
    project_id: str,
    folder: Path,
    operation: str,
    resource: str,
    message: str,
) -> Iterator[None]:
    """Refuse an operation on a resource of the core API; the server learns of it some time later.

    It concerns the namespaces with the project's label.
    """

    class Policy(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = json.dumps(_denied(request, message)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    context, authority = private_authority(folder)
    server = HTTPServer(("127.0.0.1", 0), Policy)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    Thread(target=server.serve_forever, daemon=True).start()
    name = f"policy-{project_id}"
    hook = {
        "name": "policy.acme.example",
        "clientConfig": {
            "url": f"https://127.0.0.1:{server.server_port}/",
            "caBundle": b64encode(authority.encode()).decode(),
        },
        "rules": [
            {
                "operations": [operation],
                "apiGroups": [""],
                "apiVersions": ["v1"],
                "resources": [resource],
            }
        ],
        "namespaceSelector": {"matchLabels": {"stepway/project": project_id}},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    try:
        kubernetes.create(_PATH, {"metadata": {"name": name}, "webhooks": [hook]})
        yield
    finally:
        kubernetes.http.delete(f"{_PATH}/{name}")
        server.shutdown()
        server.server_close()


def _denied(request: dict[str, Any], message: str) -> dict[str, Any]:
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": {
            "uid": request["request"]["uid"],
            "allowed": False,
            "status": {"message": message},
        },
    }
