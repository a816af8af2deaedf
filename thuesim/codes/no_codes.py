"""What is surely no code: amounts, dates, phone numbers, the numbers of orders, accounts and offers.

As in `words`, every pattern is for text without accents and has bounded repetitions.
"""

from typing import Final

from .words import compiled

_NUMBER = r"[0-9][0-9.,]{0,24}"
_REFERENCE_VALUE = r"(?=[a-z0-9./_-]{0,30}[0-9])[a-z0-9](?:[a-z0-9./_-]{0,30}[a-z0-9])?"
# What "ma …" and "… code" name beside codes.
_NOT_A_CODE_VI: Final = (
    r"gd|giao\ dich|don(?:\ hang)?|kh|khach(?:\ hang)?|hd|hoa\ don|hop\ dong|van\ don|"
    r"buu\ (?:gui|chinh|cuc|dien)|ve|dat\ cho|loi|yeu\ cau|goi|cua\ hang|chi\ nhanh|phieu|"
    r"de(?!\ (?:dang|xac|kich|truy))|lop|hs|"
    r"bn|benh\ nhan|co\ phieu|du\ thuong|giam\ gia|uu\ dai|khuyen\ mai|km|voucher|qua\ tang|the|"
    r"so\ thue|mst|sp|san\ pham|vung|tra\ cuu|phong|ghe|gioi\ thieu|thanh\ vien|ho\ so|tham\ chieu|tk|"
    r"tai\ khoan|phieu|bao\ gia|moi(?:\ ban(?:\ be)?)?|thuong|tich\ diem|chuan\ chi|phien|kiem\ tra|tham\ gia|"
    r"kien(?:\ hang)?|chuyen(?:\ bay)?|cuoc|nv|nhan\ vien|tiep\ nhan|"
    r"bien\ nhan|lich\ hen|thue\ bao|nap|dai\ ly|ban|tu|dien|nuoc|danh\ bo|thu\ tu|hieu"
)
_NOT_A_CODE_EN: Final = (
    r"invite|invitation|approval|game|"
    r"discount|promo|voucher|coupon|referral|error|gift|zip|postal|area|country|qr|tracking|order|transaction|customer"
)
# "DON HANG: ma cua ban 771882": a thing before the colon, no sender.
THING: Final = compiled(
    rf"(?<![a-z])(?:{_NOT_A_CODE_VI}|{_NOT_A_CODE_EN}|hang|qua|shop|sale|game|kho|buu|toa|nha|cua|xe|may|sim|stt|lich)(?![a-z])"
)
_DAY, _MONTH = r"(?:0?[1-9]|[12][0-9]|3[01])", r"(?:0?[1-9]|1[0-2])"
_MONTH_NAME = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}"

# "If this wasn't you, reply 5512": what stops somebody else's deed is no code, though it is to be entered.
_IF_NOT_YOU = (
    r"(?<![a-z])(?:neu|truong\ hop)\ (?:[a-z]{1,8}\ ){0,4}?(?:khong|k|ko|chua)\ (?:phai|thuc\ hien|yeu\ cau|he)(?![a-z])"
    r"|(?<![a-z])if\ (?:(?:it|this|that)(?:\ (?:was|is))?(?:\ not|n[’']?t|[’']s\ not)|not|you\ (?:did\ not|didn[’']?t))"
    r"(?![a-z])"
    r"|(?<![a-z])not\ you(?=\s?[?,:])|(?<![a-z])khong\ phai\ (?:ban|quy\ khach|qk|anh/chi)(?=\s?[?,:])"
)
_DO_NOT = r"(?<!dung\ )(?<!khong\ )(?<!not\ )(?<!never\ )(?<!don[’']t\ )(?<!dont\ )"

# What is no code, each kind cut out before the codes are looked for.
NO_CODES: Final = tuple(
    compiled(pattern)
    for pattern in (
        # Web and e-mail addresses
        r"""(?:https?://|www\.)[^\s,;]{1,2000}
          | (?<![\w.+*-])[\w.+*-]{1,64}@[a-z][\w.-]{0,80}
          | (?<![\w.-])[\w-]{1,63}(?:\.[\w-]{1,63}){0,5}\.[a-z]{2,9}/\S{0,2000}
          | (?<![\w.-])[\w-]{1,63}\.(?:com|vn|net|org|info|xyz|me|io|co|app|example)(?![a-z])\S{0,200}""",
        # The hash of Android's SMS Retriever, at the end
        r"(?<=\s)(?=\S{0,10}[A-Za-z])(?=\S{0,10}[0-9+/A-Z])[a-z0-9+/]{11}\s{0,3}$",
        # Masked cards and accounts
        r"""(?<![a-z0-9])[0-9]{0,6}[x*•]{1,16}[-\ ]?[0-9]{2,4}(?![0-9])
          | (?<![a-z0-9])[0-9]{0,6}[x*•]{2,16}[-\ ]?[0-9]{5,7}(?![0-9*])
          | (?<![0-9*])[0-9]{2,6}[x*•]{2,16}
          | (?:(?<![a-z])(?:tk|the|card|account|tai\ khoan)|\()\s?(?:\.{2,6}|…)\s?[0-9]{3,4}(?![0-9])
          | (?<![a-z])(?:ending|ends|ket\ thuc|duoi|cuoi|dau)\ (?:(?:in|with|la|bang|so
              |by)\ )?(?:la\ )?[0-9]{2,6}(?![0-9])
          | [尾末](?:号|號|码)[为為是:]?\s?[0-9]{2,6}""",
        # Dates and hours
        rf"""(?<![0-9]){_DAY}[/.-]{_MONTH}[/.-](?:20)?[0-9]{{2}}(?![0-9])
          | (?<![0-9])(?:19|20)[0-9]{{2}}[-/.]{_MONTH}[-/.]{_DAY}(?![0-9])
          | (?<![0-9])[0-9]{{1,2}}[:h][0-9]{{2}}(?:[:mp][0-9]{{0,2}}s?)?(?![0-9])(?:\ ?[ap]m(?![a-z]))?
          | (?<![0-9])[0-9]{{1,2}}\ ?(?:h|gio|am|pm)(?![a-z])
          | (?<![0-9/.-]){_DAY}/{_MONTH}(?![0-9/])
          | (?<![0-9]){_MONTH}/20[0-9]{{2}}(?![0-9])
          | (?<![0-9]){_DAY}\ thang\ {_MONTH}(?:\ nam\ (?:19|20)[0-9]{{2}})?(?![0-9])
          | (?<![0-9]){_DAY}\ ?{_MONTH_NAME}\.?,?\ ?(?:20[0-9]{{2}})?(?![0-9a-z])
          | (?<![a-z]){_MONTH_NAME}\.?\ {_DAY}(?:st|nd|rd|th)?,?\ (?:20[0-9]{{2}})(?![0-9])
          | (?<![a-z])(?:nam|year|tet|xuan)\ (?:moi\ )?20[0-9]{{2}}(?![0-9])
          | [0-9]{{2,4}}年(?:[0-9]{{1,2}}月)?(?:[0-9]{{1,2}}日)?|[0-9]{{1,2}}月[0-9]{{1,2}}日""",
        # Amounts
        rf"""(?<![0-9a-z]){_NUMBER}\ ?(?:dong(?!\ y)|vnd|usdt?|usd|eur|btc|eth|xu|ti|ty|trieu|tr|nghin|ngan|rmb
            |[₫$€¥元]|[kd](?=[\W\d_]|$))(?![a-z])
          | (?:[$€¥£₫]|(?<![a-z])(?:vnd|usdt?|eur|rmb))\ ?{_NUMBER}
          | (?:人民币|余额|餘額|金额|金額)[为為:]?\s?{_NUMBER}
          | (?<![0-9])[0-9]{{1,3}}(?:[.,][0-9]{{3}}){{1,6}}(?![0-9])
          | (?<![a-z])(?:so\ tien|so\ du|sd|du\ no|tong\ no|tong\ tien|phi|gia|cod|thu\ ho|amount|balance|total)
            (?:\ (?:gd|kha\ dung|la|con|lai|is|vi|tk))?[\s:=]{{1,3}}[+-]?{_NUMBER}
          | (?<![a-z0-9])[+-]\ ?[0-9]{{1,3}}(?:[.,][0-9]{{3}}){{1,6}}""",
        # Durations and quantities
        r"""(?<![0-9a-z])[0-9]{1,4}\ ?(?:phut|giay|gio|ph|min(?:ute)?s?|sec(?:ond)?s?|h(?:ou)?rs?|分钟|分鐘|秒|小时
            |小時)(?![a-z])
          | (?<![0-9a-z])[0-9]{1,3}\ ?(?:ngay|thang|nam|tuan|lan|days?|weeks?|months?|years?|times|s|p|天|次|个月
            |条|张|件|位|名|个|号|人|元)(?![a-z])
          | (?<![0-9a-z-])[0-9]{1,5}(?:[.,][0-9]{1,3})?\ ?(?:[kmgt]b(?:ps)?|kwh|m[23]|km|kg|gr|cm|mm|%|diem|points?
              |dam|phieu|luot|nguoi|khach|cuoc
              |don\ vi|san\ pham|sp|items?|followers?|likes?|views?|kim\ cuong
              |(?:new\ )?(?:messages?|notifications?|emails?|users?|people|students?|orders?|pcs|pieces
                |tickets?|calls?|requests?
              |flights?|pins|codes|otps|minutes?)|tin(?:\ nhan)?|hoc\ sinh|sinh\ vien|cai|chiec|cuon|don\ hang)(?![a-z])
          | (?<![0-9a-z-])[0-9]{1,8}\ ?(?:co\ phieu|cp|ccq|chung\ chi\ quy|trai\ phieu|suat|shares?|stocks?)(?![a-z])
          | (?<![a-z])(?:mua|ban|dat|giu|huy|doi|khop|chuyen|buy|sell|book)\ [0-9]{4,8}\ (?:(?:ve|lo|hop|thung|mon|tam
              |chai|phan|tokens?|coins?|units?|lots?|rooms?|seats?|tickets?|ghe|phong|cho\ (?:ngoi|dau))(?![a-z])
            |(?-i:[A-Z]{3})(?=\s{0,2}(?:[:@¦]|gia(?![a-z])|la(?![a-z])|-\s)))""",
        # What is to be entered where it was somebody else
        rf"""(?:{_IF_NOT_YOU})[^.!;\n0-9]{{0,60}}?[?]?[^.!;\n0-9]{{0,20}}?{_DO_NOT}(?<![a-z])
          (?:nhap|soan|bam|an|nhan|gui|dung|su\ dung|tra\ loi|reply|enter|text|send|press|dial|use|type)
          (?:\ (?:with|voi|tin|tin\ nhan|phim|ma|ma\ so|so|code|the|pin|otp|cu\ phap)){{0,3}}
          \s?[:"'(]{{0,2}}[0-9]{{4,8}}(?![0-9])""",
        # Phone numbers, hotlines, short codes
        r"""(?<![0-9])(?:\+?84[-.\ ]?|0)[0-9]{9,10}(?![0-9])
          | (?<![0-9])(?:\+?84[-.\ ]?|0)[0-9]{2,3}([-.\ ])[0-9]{3}\1[0-9]{3,4}(?![0-9])
          | (?<![0-9])0[0-9]{2,3}[-.\ ][0-9]{6,7}(?![0-9])
          | (?<![0-9])\(?0[0-9]{1,3}\)?[-.\ ][0-9]{3,4}[-.\ ][0-9]{3,4}(?![0-9])
          | (?<![0-9])1[89]00(?:[-.\ ]?[0-9]){4,6}(?![0-9])
          | \+[0-9]{1,3}(?:[-.\ ]?[0-9]){6,12}(?![0-9])
          | (?<![0-9])1-[0-9]{3}-[0-9]{3}-[0-9]{4}(?![0-9])
          | (?<![a-z])(?:(?:hotline|tong\ dai|lh|lien\ he|cskh|ho\ tro|goi|call|tel|tai\ xe)
              (?:\ (?:so|ngay|den|mien\ phi|at|us))?[\s:.]{1,3}\+?
            | (?:gui|to|toi|tu)(?:\ (?:so|den))?\ \+?
            | (?:sdt|dt|zalo|phone|dien\ thoai)[\s:.]{1,3}(?:\+|(?=[01])))
            [0-9](?:[-.\ ]?[0-9]){2,12}(?![0-9])
          | (?:客服|热线|熱線|致电|电话|詳詢|详询|询)[:：]?\s?[0-9-]{3,14}
          | [*\#][0-9]{2,4}(?:[*\#][a-z0-9]{0,12}){1,3}
          | (?<![a-z])(?:soan(?:\ tin:?)?|nhan\ tin:?|reply|text|tra\ loi|stop)\ [a-z0-9\ ]{1,20}?\ (?:gui|to|toi
              |den)\ [0-9]{3,8}(?![0-9])""",
        # Numbers of orders, transactions, customers, contracts, offers …
        rf"""(?<![a-z])(?:
              (?:(?<!mat\ )ma|so|id)\ (?:{_NOT_A_CODE_VI})
            | stt|so\ thu\ tu|bien\ so|bien\ nhan|txid|txn|ref(?:erence)?|tracking|invoice|booking\ (?:code|id|ref)
                |pnr|cmnd|cccd|mst|seri
            | (?:ma|so|code)\ xac\ nhan\ (?:dat\ (?:phong|cho|ve|ban|tour|lich)|booking)
            | (?:booking|reservation|hotel|flight|itinerary)\ (?:confirmation\ )?(?:code|id|number|no|ref)
            | (?:soan|gui)\ (?!ma|la|otp|so|code|ban|qk|den|toi|cho|kem)[a-z]{{2,8}}(?=\ [0-9])
            | (?:{_NOT_A_CODE_EN})\ (?:code|id|no|number)
            )
            (?:\ (?:cua\ (?:ban|quy\ khach|ong/ba)|so|is|la|no|id|number)){{0,2}}\s?[:.\#=]?\s?["'(]?{_REFERENCE_VALUE}
          | (?<![0-9])[0-9]{{4,8}}\ (?:(?:la|is)\ )(?:(?:your|the)\ )?(?:(?:ma|so)\ (?:{_NOT_A_CODE_VI}|tien
              |du)(?![a-z])
            |(?:{_NOT_A_CODE_EN})\ (?:code|id|no|number)|(?:order|balance|so\ tien|so\ du)(?![a-z]))
          | (?<![a-z])(?:(?:wi-?fi\ (?:password|pass|mat\ khau)|(?:mat\ khau|mk|pass(?:word)?)\ wi-?fi)|game\ pin)
            [\s:=]{{1,3}}{_REFERENCE_VALUE}
          | (?<![a-z])(?:vua|da)\ (?:su\ dung|dung|nhap|cung\ cap)\ (?:(?:ma|ma\ so)\ )?(?:otp\ )?[0-9]{{4,8}}(?![0-9])
          | (?<![a-z])(?:ma\ (?:otp\ )?cu|thay\ (?:the\ )?(?:cho\ )?ma)(?:\ la)?\s?[:=]?\s?[0-9]{{4,8}}(?![0-9])
          | (?<![a-z])chuan\ chi[^0-9.;\n]{{0,20}}[0-9]{{4,8}}(?![0-9])
          | (?<![a-z])join\ with\ (?:code|pin)\ {_REFERENCE_VALUE}
          | (?:订单(?:号|尾号)?|优惠码|邀请码|房间密码|提取码|(?:错误|失败)代码|编号|流水号)[:为是]?\s?[a-z0-9]{{3,30}}""",
    )
)
# "Ten dang nhap 551208"
_USER_NAME: Final = (
    r"(?:ten|tk|tai\ khoan|acc(?:ount)?|id|user(?:\ ?name)?|email|(?:so\ )?(?:dien\ thoai|dt)|sdt|ma\ kh(?:ach\ hang)?)"
    r"\ (?:dang\ (?:nhap|ky)|truy\ cap|login)"
    r"|user(?:\ ?(?:name|id))?|login\ (?:id|name)|ten\ (?:nguoi\ dung|truy\ cap|tk|tai\ khoan)"
)
# Nouns whose number is none, unless they belong to the name of the code: "ma xac nhan don hang 3958".
REFERENCE: Final = compiled(
    rf"""(?<![a-z])(?:{_USER_NAME}
        |tk|tai\ khoan|stk|account|acct|a/c|gd|giao\ dich|transaction|lenh(?:\ (?:mua|ban))?|don(?:\ dat)?(?:\ hang)?|order
        |suat|dh|hd|hop\ dong|hoa\ don|the|card
      |hs|ho\ so|van\ don|(?:buu\ )?kien(?:\ hang)?|buu\ pham|ve(?:\ xe)?
      |phong|room|ghe|seat|member|hoi\ vien|chuyen(?:\ bay)?|flight|id|no|case
      |ticket|kh
      |khoan\ vay|ref|nd|phieu|version|ban\ moi|buu\ cuc|lo|quay|(?:ma\ )?(?<!nhap\ )(?<!dien\ )so|number|cua|gate
      |duong|so\ nha|kho|goi\ cuoc|goi)
    (?:\ (?:so|id|no|number|moi|cua\ (?:ban
        |quy\ khach))){{0,2}}(?P<stop>\s?[:.\#=]{{0,2}}\s?)["'(]?{_REFERENCE_VALUE}
    (?:[\ -][0-9]{{2,4}}(?![0-9])){{0,3}}"""
)
