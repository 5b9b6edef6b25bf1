# SPDX-License-Identifier: Apache-2.0
"""husk, as it comes: with its jail. By config file: the same kernel command line and init for all."""
import json
import os

from vm import BUILD, TREE, Unable, first_line

HUSK = os.environ.get("HUSK", BUILD + "/husk")


def version():
    """With the commit, where there is a git that knows it."""
    words = first_line(HUSK, "--version")
    try:
        git = ["git", "-c", "safe.directory=*", "-C", TREE, "describe", "--always", "--dirty", "--abbrev=12"]
        return "%s (%s)" % (words, first_line(*git))
    except Unable:
        return words


def command(vm, folder):
    images = [(vm.root, True)] if vm.root else []
    images += [(path, False) for path in vm.disks]
    config = {
        "boot-source": {"kernel_image_path": vm.kernel, "boot_args": vm.cmdline},
        "machine-config": {"vcpu_count": 1, "mem_size_mib": vm.memory_mib},
        "drives": [{"drive_id": "disk%d" % i, "path_on_host": path, "is_root_device": is_root,
                    "is_read_only": is_root} for i, (path, is_root) in enumerate(images)],
    }
    if vm.initrd:
        config["boot-source"]["initrd_path"] = vm.initrd
    if vm.tap:
        config["network-interfaces"] = [{"iface_id": "net", "host_dev_name": vm.tap}]
    with open(folder + "/husk.json", "w") as file:
        json.dump(config, file)
    return [HUSK, "--config-file", folder + "/husk.json", "--no-api"] + \
        (["--metrics", vm.metrics] if vm.metrics else [])
