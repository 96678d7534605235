# SPDX-License-Identifier: MIT
"""Frames in and out: packet sockets, kernel filters, answers, announcements and probes."""
