# SPDX-License-Identifier: MIT
"""Every name that two programs share, once.

The keys under `GROUP` that users write on their Services can be moved to another prefix by one
setting of the webhook; what is here are the defaults. Everything on a child is fixed.
"""

import enum
from typing import Final

GROUP: Final = "l2lb.io"
VERSION: Final = "v1alpha1"
KIND: Final = "L2LoadBalancer"
PLURAL: Final = "l2loadbalancers"
API_VERSION: Final = f"{GROUP}/{VERSION}"

# The user's Service.
SERVICE_CLASS: Final = f"{GROUP}/l2-load-balancer"
SERVICE_BALANCER: Final = f"{GROUP}/load-balancer"  # annotation, and the label that mirrors it
SERVICE_IP_COUNT: Final = f"{GROUP}/ip-count"
SERVICE_ADDRESSES: Final = f"{GROUP}/addresses"
SERVICE_SHARING_KEY: Final = f"{GROUP}/sharing-key"
AUTO: Final = "auto"  # one address a balancer node
MAX_IP_COUNT: Final = 64
MAX_SHARING_PORTS: Final = 256  # of a Service that shares: each of its children names all of them

# The child Service.
CHILD_CLASS: Final = f"{GROUP}/child"
PROXY_NAME_LABEL: Final = "service.kubernetes.io/service-proxy-name"  # KEP-2447
PROXY_NAME: Final = GROUP
CHILD_SERVICE_UID: Final = f"{GROUP}/service-uid"
CHILD_BALANCER: Final = f"{GROUP}/balancer"
CHILD_ADDRESS: Final = f"{GROUP}/address"
CHILD_NODES: Final = f"{GROUP}/nodes"
CHILD_LIST_VERSION: Final = f"{GROUP}/list-version"
CHILD_HEALTH_CHECK_PORT: Final = f"{GROUP}/health-check-port"
CHILD_INTERFACES: Final = f"{GROUP}/interfaces"
CHILD_FAILBACK_DELAY: Final = f"{GROUP}/failback-delay"
CHILD_PLANNED: Final = f"{GROUP}/of"
CHILD_SERVICE: Final = f"{GROUP}/service"
CHILD_SHARING_KEY: Final = f"{GROUP}/sharing-key"
CHILD_SHARING_PORTS: Final = f"{GROUP}/sharing-ports"
CHILD_RELEASE_AFTER: Final = f"{GROUP}/release-after"
CHILD_CONTRACT: Final = f"{GROUP}/contract"
CONTRACT_VERSION: Final = 1
MAX_LISTED_NODES: Final = 16  # an annotation stays readable; 16 failures at once are an outage

EXCLUDE_LABEL: Final = "node.kubernetes.io/exclude-from-external-load-balancers"  # KEP-1143

# Conditions.
ASSIGNED_CONDITION: Final = f"{GROUP}/Assigned"  # on the user's Service
ANNOUNCED_CONDITION: Final = f"{GROUP}/Announced"  # on the child
EVER_ANNOUNCED_CONDITION: Final = f"{GROUP}/EverAnnounced"  # on the child, of the address it has
EVER_ANNOUNCED_REASON: Final = "Announced"


class AssignedReason(enum.StrEnum):
    """Why the user's Service has its addresses, or has not."""

    ASSIGNED = "Assigned"
    POOL_EXHAUSTED = "PoolExhausted"
    BALANCER_NOT_FOUND = "BalancerNotFound"
    NAMESPACE_NOT_ALLOWED = "NamespaceNotAllowed"
    INVALID_ANNOTATION = "InvalidAnnotation"
    ADDRESS_NOT_IN_POOL = "AddressNotInPool"
    ADDRESS_TAKEN = "AddressTaken"
    NO_NODES = "NoNodes"
    FOREIGN_STATUS = "ForeignStatus"
    CHILD_MISSING = "ChildMissing"


class AnnouncedReason(enum.StrEnum):
    """What the speaker says of a child; the first two with status True, the others with False."""

    ANNOUNCING = "Announcing"
    ADDRESS_CONFLICT = "AddressConflict"
    ADDRESS_IN_USE = "AddressInUse"
    HEARTBEATS_BLOCKED = "HeartbeatsBlocked"
    NO_INTERFACE = "NoInterface"
    NO_CANDIDATE = "NoCandidate"
    FENCED = "Fenced"

    @property
    def announced(self) -> bool:
        """Whether the address is answered for."""
        return self in {AnnouncedReason.ANNOUNCING, AnnouncedReason.ADDRESS_CONFLICT}
