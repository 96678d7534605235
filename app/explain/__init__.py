# SPDX-License-Identifier: MIT
"""What the cluster's objects say of balancers, Services and addresses, in sentences for people."""
