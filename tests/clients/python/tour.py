"""What each client does with a pingd: as tests/clients/go/tour."""
import json


def take(service, timestamp_ms):
    report = {"count": 0, "code": "", "message": "", "deadline": "", "watched": None}
    try:
        for key in ("a", "a", "b"):
            service.ping(timestamp_ms, f"{key}{timestamp_ms}")
        report["count"] = service.count(timestamp_ms, timestamp_ms + 1)
        report["code"], report["message"] = code_of(service, lambda: service.ping(0, ""))
        report["watched"] = service.watch([], lambda: service.ping(timestamp_ms + 1, ""))
        report["deadline"], _ = code_of(service, lambda: service.watch(["203.0.113.99"], lambda: None, timeout_s=0.3))
    except service.error as error:
        report["failed"] = ": ".join(service.code(error))
    print(json.dumps(report))


def code_of(service, call):
    try:
        call()
        return "none", ""
    except service.error as error:
        return service.code(error)
