"""The payloads that the client is written for, each with what it means.

`PAYLOADS` has those of the API page and of the reference, as printed there. `ODD_CODE_REPLIES` has what sister services
and PHP programs send in the place of those: the code names its branches by them.
"""
# ruff: noqa: E501 - a payload stays on its line, as the page prints it

from datetime import datetime

from thuesim import errors
from thuesim.decoding import VIETNAM
from thuesim.values import Balance, CallbackBody, CodeReply, HistoryEntry, Message, Network, Rented, Service, State

MOMO = "486460 la ma xac thuc OTP dang ky vi MoMo. De tranh bi mat tien, tuyet doi KHONG chia se ma nay voi bat ky ai."
MOMO_HASH = f"{MOMO} zniHFS3HBXG"
WAV = "https://thuesim.xyz/1234500000123456789000006789.wav"
PLAY = "https://thuesim.xyz/audio/play.php?01=769652844_Man.Club_6645fe035042.wav&phone=769652844"
CALL_TEXT = "[Call]mã otp của bạn là 059809mã otp của bạn là 059809"
SMS_TEXT = (
    "[VU KHUYEN] Trung tam thong bao ma kich hoat tai khoan dang ky tu van du hoc: 529310."
    " Vui long khong chia se cho bat ky ai"
)
AUGUST = datetime(2020, 8, 6, 17, 13, 24, 880_000, tzinfo=VIETNAM)
MOMO_MESSAGE = Message(MOMO_HASH, "486460", is_call=False, audio_url="")
WAV_MESSAGE = Message("", "486460", is_call=True, audio_url=WAV)
NETWORKS = [
    Network("1", "MOBIFONE"),
    Network("2", "VINAPHONE"),
    Network("3", "VIETTEL"),
    Network("4", "VIETNAMOBILE"),
    Network("5", "ITELECOM"),
]


def entry(id: str, price: int, message: Message) -> HistoryEntry:
    return HistoryEntry(id, "1", "Momo", State.RECEIVED, price, "+84987654321", AUGUST, message)


# (what it is, parser, body, meaning)
PAYLOADS: list[tuple[str, str, str, object]] = [
    (
        "balance",
        "balance",
        '{"status_code":200,"success":true,"message":"successful","data":{"balance":123456}}',
        Balance(123456),
    ),
    (
        "networks",
        "networks",
        '{"status_code":200,"success":true,"message":"successful","data":[{"id":1,"name":"MOBIFONE"},{"id":2,"name":"VINAPHONE"},{"id":3,"name":"VIETTEL"},{"id":4,"name":"VIETNAMOBILE"}, {"id": 5, "name": "ITELECOM"}]}',
        NETWORKS,
    ),
    (
        "services, B",
        "services",
        '{"ResponseCode":1,"Data":[{"ID":97,"SV":"02","SERVICE_NAME":"DV KHÁC (TEST)","PRICE":1450,"Time":"300"}]}',
        [Service("02", "97", "DV KHÁC (TEST)", 1450, 300)],
    ),
    (
        "services, as the page's list of fields has them",
        "services",
        '{"ResponseCode":1,"success":true,"message":"successful","data":[{"id":7,"name":"Facebook","price":"800"},{"id":1,"name":"Momo","price":"350"}]}',
        [Service("", "7", "Facebook", 800, 300), Service("", "1", "Momo", 350, 300)],
    ),
    (
        "rent, B",
        "rent",
        '{"RequestLog":{"ID":88237016.01, "ServiceID":4, "ServiceName":"Yahoo", "IMG":"Yahoo.ico", "Price":470, "Phone":" 0852222127", "SmsContent":null, "StatusStr":"Đợi tin nhắn", "CreatedTime":"2021-10-16T09:27:01", "IsSound":false, "Code":null}, "Balance":123456, "ResponseCode":1, "Message":"Tạo yêu cầu Yahoo thành công !"}',
        Rented(
            id="88237016.01",
            phone="+84852222127",
            price=470,
            balance=123456,
            service_id="4",
            service_name="Yahoo",
            created_at=datetime(2021, 10, 16, 9, 27, 1, tzinfo=VIETNAM),
            message="Tạo yêu cầu Yahoo thành công !",
        ),
    ),
    (
        "rent, A",
        "rent",
        '{"status_code":200,"success":true,"message":"Tạo yêu cầu thành công !","data":{"phone_number":"987654321","balance":50000,"request_id":"122314"}}',
        Rented("122314", "+84987654321", None, 50000, "", "", None, "Tạo yêu cầu thành công !"),
    ),
    (
        "callback",
        "callback",
        '{"data":{"status":1,"requestId":"58098","code":"486460","smsContent":"' + MOMO + '","isSound":"false"}}',
        CallbackBody("58098", State.RECEIVED, Message(MOMO, "486460", is_call=False, audio_url="")),
    ),
    (
        "code, a message",
        "code",
        '{"ResponseCode": 0, "Msg": "OK", "Result": { "SMS": "'
        + SMS_TEXT
        + '", "Code": "529310", "IsCall":false, "CallFile":null}}',
        CodeReply(State.RECEIVED, Message(SMS_TEXT, "529310", is_call=False, audio_url="")),
    ),
    (
        "code, a call",
        "code",
        '{"ResponseCode": 0, "Msg": "OK", "Result": { "SMS": "'
        + CALL_TEXT
        + '", "Code": "059809", "IsCall":true, "CallFile":"'
        + PLAY
        + '"}}',
        CodeReply(State.RECEIVED, Message(CALL_TEXT, "059809", is_call=True, audio_url=PLAY)),
    ),
    (
        "code, A, a message",
        "code",
        '{"status_code":200,"success":true,"message":"successful","data":{"ID":"58098","Phone":"987654321","ServiceID":1,"ServiceName":"Momo","Status":1,"Price":350,"CreatedTime":"2020-08-06T17:13:24.88","IsSound":false,"SmsContent":"'
        + MOMO_HASH
        + '","Code":"486460"}}',
        CodeReply(State.RECEIVED, MOMO_MESSAGE),
    ),
    (
        "code, A, a call",
        "code",
        '{"status_code":200,"success":true,"message":"successful","data":{"ID":"58098","Phone":"987654321","ServiceID":1,"ServiceName":"Momo","Status":1,"Price":350,"CreatedTime":"2020-08-06T17:13:24.88","IsSound":true,"SmsContent":"'
        + WAV
        + '","Code":"486460"}}',
        CodeReply(State.RECEIVED, WAV_MESSAGE),
    ),
    ("code, not yet", "code", '{"ResponseCode":1,"Msg":"Đợi tin nhắn"}', CodeReply(State.WAITING, None)),
    ("code, expired", "code", '{"ResponseCode":2,"Msg":"Hết hạn"}', CodeReply(State.EXPIRED, None)),
    (
        "history",
        "history",
        '{"status_code":200,"success":true,"message":"successful","data":[{"ID":58098,"ServiceID":1,"ServiceName":"Momo","Status":1,"Price":600,"Phone":"987654321","SmsContent":"'
        + MOMO_HASH
        + '","IsSound":"false","CreatedTime":"2020-08-06T17:13:24.88","Code":"486460"}, {"ID":58060,"ServiceID":1,"ServiceName":"Momo","Status":1,"Price":600,"Phone":"987654321","SmsContent":"'
        + WAV
        + '","IsSound":"true","CreatedTime":"2020-08-06T17:13:24.88","Code":"486460"}]}',
        [entry("58098", 600, MOMO_MESSAGE), entry("58060", 600, WAV_MESSAGE)],
    ),
    (
        "history, as the page's list of fields has it",
        "history",
        '{"status_code":200,"success":true,"message":"successful","data":[{"ID":123456,"ServiceID":1,"ServiceName":"Facebook","Status":1,"Price":600,"Phone":938558302,"SmsContent":"'
        + MOMO_HASH
        + '","IsSound":false,"CreatedTime":"2021-08-06T17:13:24.88","Code":486460}]}',
        [
            HistoryEntry(
                id="123456",
                service_id="1",
                service_name="Facebook",
                state=State.RECEIVED,
                price=600,
                phone="+84938558302",
                created_at=AUGUST.replace(year=2021),
                message=MOMO_MESSAGE,
            )
        ],
    ),
]


def _sms(text: str, code: str) -> CodeReply:
    return CodeReply(State.RECEIVED, Message(text, code, is_call=False, audio_url=""))


WAITING = CodeReply(State.WAITING, None)

# (what it is, body of a reply to `code`, meaning or error)
ODD_CODE_REPLIES: list[tuple[str, str, CodeReply | type[errors.ThueSimError]]] = [
    (
        "the status in the place of the message",
        '{"status_code":200,"success":true,"data":{"ID":"5","SmsContent":"Đợi tin nhắn","Code":null}}',
        WAITING,
    ),
    (
        "a recording's address without its host",
        '{"status_code":200,"success":true,"data":{"Status":1,"IsSound":true,"SmsContent":"/audio/1.wav","Code":"486460"}}',
        CodeReply(State.RECEIVED, Message("", "486460", is_call=True, audio_url="/audio/1.wav")),
    ),
    (
        "a voice call whose text is written out",
        '{"status_code":200,"success":true,"data":{"Status":1,"IsSound":true,"SmsContent":"ma 486460","Code":"486460"}}',
        CodeReply(State.RECEIVED, Message("ma 486460", "486460", is_call=True, audio_url="")),
    ),
    ("a number for no code", '{"ResponseCode":0,"Msg":"OK","Result":{"SMS":"","Code":0}}', WAITING),
    ("a negative number for no code", '{"ResponseCode":0,"Msg":"OK","Result":{"SMS":null,"Code":"-1"}}', WAITING),
    (
        "the whole message in the place of the code",
        '{"ResponseCode":0,"Msg":"OK","Result":{"SMS":null,"Code":"Ma xac thuc cua ban la 529310"}}',
        _sms("Ma xac thuc cua ban la 529310", "529310"),
    ),
    (
        "a code that lost its leading zero",
        '{"ResponseCode":0,"Msg":"OK","Result":{"SMS":"Ma cua ban la 059809","Code":59809}}',
        _sms("Ma cua ban la 059809", "059809"),
    ),
    (
        "a message whose code is not told",
        '{"ResponseCode":0,"Msg":"OK","Result":{"SMS":"Ma cua ban la 529310","Code":null}}',
        _sms("Ma cua ban la 529310", "529310"),
    ),
    (
        "a code that is a year",
        '{"ResponseCode":0,"Msg":"OK","Result":{"SMS":"Ma OTP la 072-464, het han 22/11/2026","Code":"2026"}}',
        CodeReply(
            State.RECEIVED,
            Message("Ma OTP la 072-464, het han 22/11/2026", "072464", is_call=False, audio_url="", second_code="2026"),
        ),
    ),
    (
        "entities of a PHP program",
        '{"ResponseCode":0,"Msg":"OK","Result":{"SMS":"M&atilde; &quot;529310&quot; &amp;amp; 1","Code":"5&#50;9310"}}',
        _sms('Mã "529310" &amp; 1', "529310"),
    ),
    ("a wrong id", '{"ResponseCode":3,"Msg":"Sai mã"}', errors.UnknownSession),
    ("not yet, with the words of a pause", '{"ResponseCode":1,"Msg":"Vui lòng thử lại sau 5 giây"}', WAITING),
    (
        "a refused token under the code for not yet",
        '{"ResponseCode":1,"Msg":"Lỗi xác thực"}',
        errors.InvalidToken,
    ),
    (
        "a wrong id under the code for not yet",
        '{"ResponseCode":1,"Msg":"Mã phiên không đúng"}',
        errors.UnknownSession,
    ),
    ("not yet, under an unknown code", '{"ResponseCode":97,"Msg":"Chưa nhận được tin nhắn nào"}', WAITING),
    ("expired, under an unknown code", '{"ResponseCode":97,"Msg":"Hết hạn"}', errors.UpstreamError),
    (
        "not yet, in a reply that denies success",
        '{"status_code":97,"success":false,"message":"Đợi tin nhắn"}',
        errors.UpstreamError,
    ),
]
