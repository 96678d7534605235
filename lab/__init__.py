# SPDX-License-Identifier: MIT
"""A real Kubernetes in network namespaces, in which the product is shown, tested and measured."""
