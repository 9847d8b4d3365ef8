"""Python first: functions that take and give the same objects, whatever the structures come from."""
