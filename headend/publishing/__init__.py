"""Publishing over MQTT, an option: readings after their commit, alarms, discovery.

The broker may be away or slow for as long as it likes; nothing of the head-end waits for it.
Readings wait in a bounded buffer, the newest of each quantity; alarms wait in the database.
"""
