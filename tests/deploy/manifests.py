"""Holds rendered Kubernetes manifests against what they must be among each other.

    python manifests.py FILE...

kubernetes-validate knows the shape of each; here: that pods are restricted, and that what selects pods selects the instances.
"""

import sys
import tomllib

import yaml


def pod_specs(documents):
    for document in documents:
        if "template" in document.get("spec", {}):
            yield f"{document['kind']} {document['metadata']['name']}", document["spec"]["template"]["spec"]


def unrestricted(name, spec):
    """The pod security standard "restricted", a root file system that cannot be written, and bounds."""
    pod = spec.get("securityContext", {})
    if not pod.get("runAsNonRoot") or not pod.get("runAsUser"):
        yield f"{name}: runs as root"
    if pod.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield f"{name}: no seccomp profile"
    if spec.get("automountServiceAccountToken") is not False:
        yield f"{name}: is given a token"
    for container in spec.get("initContainers", []) + spec["containers"]:
        at = f"{name}, {container['name']}"
        own = container.get("securityContext", {})
        if own.get("allowPrivilegeEscalation") is not False:
            yield f"{at}: may gain privileges"
        if own.get("capabilities", {}).get("drop") != ["ALL"] or own.get("capabilities", {}).get("add"):
            yield f"{at}: has capabilities"
        if own.get("readOnlyRootFilesystem") is not True:
            yield f"{at}: can write its root file system"
        resources = container.get("resources", {})
        if set(resources.get("requests", {})) != {"cpu", "memory"} or "memory" not in resources.get("limits", {}):
            yield f"{at}: requests and limits are not given"
        mounted = {mount["name"] for mount in container.get("volumeMounts", [])}
        if "config" not in mounted:
            yield f"{at}: has no configuration"


def selects(selector, labels):
    return selector.items() <= labels.items()


def unconnected(documents):
    """Selectors and names that lead nowhere, or to more than the instances."""
    of = lambda kind: [document for document in documents if document["kind"] == kind]
    (instances,) = of("StatefulSet")
    spec = instances["spec"]
    labels = spec["template"]["metadata"]["labels"]
    others = [job["spec"]["template"]["metadata"]["labels"] for job in of("Job")]
    services = of("Service")
    selectors = [("StatefulSet", spec["selector"]["matchLabels"])]
    selectors += [(f"Service {service['metadata']['name']}", service["spec"]["selector"]) for service in services]
    selectors += [("PodDisruptionBudget", budget["spec"]["selector"]["matchLabels"]) for budget in of("PodDisruptionBudget")]
    for spread in spec["template"]["spec"].get("topologySpreadConstraints", []):
        selectors.append(("spread", spread["labelSelector"]["matchLabels"]))
    for name, selector in selectors:
        if not selects(selector, labels):
            yield f"{name}: selects no instance"
        if any(selects(selector, other) for other in others):
            yield f"{name}: selects pods of jobs"
    for policy in of("NetworkPolicy"):
        for pod in [labels, *others]:
            if not selects(policy["spec"]["podSelector"]["matchLabels"], pod):
                yield f"NetworkPolicy: leaves out {pod}"
    if spec["serviceName"] not in [service["metadata"]["name"] for service in services]:
        yield f"no service {spec['serviceName']}"
    (container,) = spec["template"]["spec"]["containers"]
    ports = {port["name"] for port in container["ports"]}
    for service in services:
        for port in service["spec"]["ports"]:
            if port["targetPort"] not in ports:
                yield f"Service: no port {port['targetPort']}"
    for probe, path in [("livenessProbe", "/livez"), ("readinessProbe", "/readyz")]:
        if container[probe]["httpGet"] != {"path": path, "port": "http"}:
            yield f"{probe}: not {path}"
    (config,) = of("ConfigMap")
    settings = tomllib.loads(config["data"]["gpad-live.toml"])
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    if settings["state"]["directory"] != mounts["state"]:
        yield "the state's directory is no volume"
    partitions = settings.get("topics", {}).get("partitions", 8)
    for scaler in of("HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]
        if (target["kind"], target["name"]) != ("StatefulSet", instances["metadata"]["name"]):
            yield "HorizontalPodAutoscaler: scales nothing"
        if scaler["spec"]["maxReplicas"] > partitions:
            yield f"HorizontalPodAutoscaler: more instances than the {partitions} tasks"
        if scaler["spec"]["minReplicas"] != spec["replicas"]:
            yield "HorizontalPodAutoscaler: begins with another number of instances"


def main(files):
    if not files:
        sys.exit("usage: python manifests.py FILE...")
    faults = []
    for file in files:
        with open(file, encoding="utf-8") as opened:
            documents = [document for document in yaml.safe_load_all(opened) if document]
        found = [fault for name, spec in pod_specs(documents) for fault in unrestricted(name, spec)]
        found += unconnected(documents)
        faults += [f"{file}: {fault}" for fault in found]
    if faults:
        sys.exit("\n".join(faults))


main(sys.argv[1:])
