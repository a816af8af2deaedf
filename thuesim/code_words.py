"""The words and forms that tell a code from other numbers, in Vietnamese, English and Chinese.

Every pattern is for text without accents (`codes.normalised`) and has bounded repetitions: hostile text takes no longer
than any other of its length.
"""

import re
from typing import Final


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE | re.VERBOSE)


# Words that name a code and nothing else.
STRONG_WORD: Final = _compiled(
    r"""
    (?<![a-z])(?:
        (?:(?:ma|so|day\ so|mat\ khau|mat\ ma|code)\ )?(?:otp|totp)
      | (?:ma|ma\ so|day\ so|mat\ khau|mat\ ma|pin|code)\ (?:[a-z]{1,12}\ )?
        (?:x[nt]|xac\ ?(?:thuc|nhan|minh|dinh)|kich\ hoat|chung\ thuc|dang\ (?:nhap|ky)|bao\ (?:mat|ve)|an\ toan|pin
            |khoi\ phuc
          |mo\ khoa|truy\ cap|dat\ lai|(?:su\ dung\ |dung\ )?(?:mot|1)\ lan|nhan\ (?:hang|buu|do)|gac|bi\ mat|smart)
      | (?:verif\w{0,9}|security|activation|confirm\w{0,6}|auth\w{0,12}|access|log-?\ ?in|sign-?\ ?in|one[-\ ]time
          |guard|temp(?:orary)?|recovery|reset|registration|validation|identity|2fa|two[-\ ](?:factor|step)|sms|pass|secret
          |delivery|pickup)
        [-\ ]?(?:[a-z]{1,12}\ )?(?:code|pin|passcode|password|number)
      | passcode | your\ (?:[a-z.]{1,15}\ ){0,3}(?:code|pin) | (?:code|pin)\ of\ yours
    )s?(?![a-z])
    | (?:验证|校验|激活|确认|安全|登录|登入|认证|動態|动态|驗證|認證|確認|檢查|随机|短信)(?:代)?[码碼号]
    | (?:动态|動態|一次性)密[码碼] | (?:取件|提货|取餐)[码碼] | 認証番号 | код\ подтверждения | ваш\ код
    """
)
# Words that may name a code.
WEAK_WORD: Final = _compiled(r"(?<![a-z])(?:ma|code|pin|mat\ khau|password)(?![a-z])|代码|代碼|密码|密碼")
# "use 7193 to …": the number that follows at once is to be entered.
ENTER_WORD: Final = _compiled(
    r"""(?<![a-z])(?:nhap|(?<!da\ )(?<!noi\ )(?<!su\ )(?<!khong\ )dung|(?<!da\ )su\ dung|use|enter|type)(?![a-z])
    |使用|输入|輸入"""
)
# "820415. Nhap ma nay …": speaks of a number in a sentence of its own.
POINTS_BACK: Final = _compiled(
    r"(?<![a-z])(?:ma|so)\ (?:nay|tren)(?![a-z])|(?<![a-z])this\ (?:code|pin|number)(?![a-z])"
)
# What stands between the word and a code with letters: "ma kich hoat ban quyen: H7KD92".
FAR_CONNECTOR: Final = _compiled(r"^\ (?:[a-z]{1,12}\ ?){1,3}:\s{0,2}$")
# "559871 de xac nhan …": what the number before is for.
PURPOSE: Final = _compiled(
    r"""^[\s"')\]>]{0,3}(?:(?:can\ be\ |duoc\ )?(?:used|dung|su\ dung)\ )?(?:de|to|for|vao)\ (?:[a-z]{1,10}\ ){0,2}?
    (?:xac\ (?:thuc|nhan|minh)|kich\ hoat|dang\ (?:nhap|ky)|hoan\ tat|tiep\ tuc|khoi\ phuc|mo\ khoa|dat\ lai
        |doi\ mat\ khau
      |verify|confirm|sign|log|activate|continue|complete|reset|recover|authenticate)"""
)
# What stands between a code and the word after it that names it: "529310 is your code".
LINK: Final = _compiled(r"""^[\s"')\]>*]{0,4}(?:(?:la|is|as|be)(?![a-z])|是|为|為|作为|作為)""")
LOOSE_LINK: Final = _compiled(
    r"""^[\s"')\]>*.]{0,4}(?:(?:for|to|de|cho)(?![a-z])|[-–—(=:,~|/])
    |^\s{0,2}["')\]>]{0,2}\s?(?=ma\ (?:xac|otp|kich|cua|bao|dang))"""
)
# What stands between the word and the code after it: "code is: 529310".
CONNECTOR: Final = _compiled(
    r"""^(?:\ (?:[a-z0-9.&]{1,15}\ ){0,3}?(?:cua\ (?:ban|quy\ khach|qk|anh/chi|anh|chi|em|minh)|of\ yours))?
    [\s"'(<[]{0,3}(?:(?:la|is|are|be)(?![a-z])|[:=-]|是|为|為)?[\s:"'(<[*]{0,4}$"""
)
ALTERNATIVE: Final = _compiled(r"\s?(?:[,/&]|hoac|hay|or|va|and|或|和)\s?(?:(?:ma|code)\s)?")
# What turns a number behind the word into something else: "OTP requests are limited to 5000".
OTHER_SUBJECT: Final = _compiled(
    r"""(?<![a-z])(?:limit\w{0,3}|fee|charge\w?|price|phi|cuoc|han\ muc|toi\ da|max\w{0,4}|attempts?|requests?|per
        |sai|wrong|gia|han\ dung
      |room|phong|trang|page|muc|dieu|luat|cach|with|voi
      |(?:phien|session|yeu\ cau|challenge|kiem\ tra)(?=\s?(?:[:\#\d]|$))|con\ lai|thanh\ cong|accepted|verified|approval
      |serial|seri|s/n|(?:toi|den|ve|qua)\ (?:may|thiet\ bi)|stay|from(?=\s$))(?![a-z])|编号|流水号"""
)
# What makes a number behind which it stands useless: a code that has expired, a payment's approval.
SPENT: Final = _compiled(
    r"""^[\s"')\]]{0,3}(?:(?:has|is|was|da|bi|khong|chua)\ (?:been\ |duoc\ |bi\ )?)?
    (?:expired|invalid|incorrect|wrong|approved|declined|sai|(?<=da\ )het|(?<=da\ )su\ dung|(?<=da\ duoc\ )su\ dung
      |(?<=been\ )used|already\ used|(?<=khong\ )(?:dung|hop\ le|chinh\ xac|con))(?![a-z])"""
)
# "ma OTP Vietcombank 582013": the name of the sender. Behind "ma" alone it must be known, since "Ma BIN 970436" is no code.
SENDER: Final = re.compile(r"\s[A-Z][A-Za-z0-9.]{1,14}(?:\s[A-Z][A-Za-z0-9.]{1,14})?(?:\s(?:la|LA))?[\s:]{1,3}")
KNOWN_SENDER: Final = _compiled(
    r"""\s(?:zalo|facebook|messenger|google|gmail|telegram|tiktok|shopee|lazada|tiki|grab|momo|whatsapp|instagram
        |viber|line|wechat|discord
      |steam|twitter|x|binance|paypal|microsoft|apple(?:\ id)?|id\ apple|amazon|netflix|tinder|uber|be|gojek|vneid
      |vnpay|zalopay|garena|signal|imo)
    (?:\ la)?[\s:]{1,3}"""
)
OFFER: Final = _compiled(
    r"""(?<![a-z])(?:giam\ (?:gia|den|toi|ngay|them|\d)|uu\ dai|khuyen\ mai|voucher|coupon|sale|discount|promo\w{0,8}
    |hoan\ tien|tang\ (?:ban|quy|ngay|\d)|qua\ tang|trung\ thuong|du\ thuong|nhan\ (?:ngay|\d)|freeship|checkout
    |free\ [a-z]{3,9}|save|get\ \d{1,4}\ ?[k$%])(?![a-z])|%\ ?off|优惠|折扣"""
)
SENTENCE_END: Final = re.compile(r"[.!?](?=\s|$)|[\n;。！？]")

_NUMBER = r"[0-9][0-9.,]{0,24}"
_REFERENCE_VALUE = r"(?=[a-z0-9./_-]{0,30}[0-9])[a-z0-9](?:[a-z0-9./_-]{0,30}[a-z0-9])?"
# What "ma …" and "… code" name beside codes.
_NOT_A_CODE_VI: Final = (
    r"gd|giao\ dich|don(?:\ hang)?|kh|khach(?:\ hang)?|hd|hoa\ don|hop\ dong|van\ don|"
    r"buu\ (?:gui|chinh|cuc|dien)|ve|dat\ cho|loi|yeu\ cau|goi|cua\ hang|chi\ nhanh|phieu|de|lop|hs|"
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
_DAY, _MONTH = r"(?:0?[1-9]|[12][0-9]|3[01])", r"(?:0?[1-9]|1[0-2])"
_MONTH_NAME = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}"

AUTOFILL: Final = re.compile(
    r"^@[a-z0-9.-]{3,80} \#([a-z0-9]{4,8})\b(?: %[a-z0-9.-]{3,80})?", re.IGNORECASE | re.MULTILINE
)

# What is no code, each kind cut out before the codes are looked for.
NO_CODES: Final = tuple(
    _compiled(pattern)
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
          | (?<![a-z0-9])[0-9]{0,6}[x*•]{2,16}[-\ ]?[0-9]{5,7}(?![0-9])
          | (?<![0-9])[0-9]{2,6}[x*•]{2,16}
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
          | (?<![0-9a-z])[0-9]{1,3}\ ?(?:ngay|thang|nam|tuan|lan|days?|weeks?|months?|years?|times|s|p|天|次|个月)(?![a-z])
          | (?<![0-9a-z])[0-9]{1,5}(?:[.,][0-9]{1,3})?\ ?(?:[kmgt]b(?:ps)?|kwh|m[23]|km|kg|gr|cm|mm|%|diem|points?
              |dam|phieu|luot|nguoi|khach|cuoc
              |don\ vi|san\ pham|sp|items?|followers?|likes?|views?|kim\ cuong)(?![a-z])""",
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
          | (?<![a-z])(?:soan|nhan\ tin|reply|text|tra\ loi|stop)\ [a-z0-9\ ]{1,20}?\ (?:gui|to|toi
              |den)\ [0-9]{3,8}(?![0-9])""",
        # Numbers of orders, transactions, customers, contracts, offers …
        rf"""(?<![a-z])(?:
              (?:ma|so|id)\ (?:{_NOT_A_CODE_VI})
            | stt|so\ thu\ tu|bien\ so|bien\ nhan|txid|txn|ref(?:erence)?|tracking|invoice|booking\ (?:code|id|ref)
                |pnr|cmnd|cccd|mst|seri
            | (?:ma|so|code)\ xac\ nhan\ (?:dat\ (?:phong|cho|ve|ban|tour|lich)|booking)
            | (?:booking|reservation|hotel|flight|itinerary)\ (?:confirmation\ )?(?:code|id|number|no|ref)
            | (?:soan|gui)\ (?!ma|otp|so|code|ban|qk|den|toi|cho|kem)[a-z]{{2,8}}(?=\ [0-9])
            | (?:{_NOT_A_CODE_EN})\ (?:code|id|no|number)
            )
            (?:\ (?:cua\ (?:ban|quy\ khach|ong/ba)|so|is|la|no|id|number)){{0,2}}\s?[:.\#=]?\s?["'(]?{_REFERENCE_VALUE}
          | (?<![0-9])[0-9]{{4,8}}\ (?:(?:la|is)\ )(?:(?:your|the)\ )?(?:(?:ma|so)\ (?:{_NOT_A_CODE_VI}|tien
              |du)(?![a-z])
            |(?:{_NOT_A_CODE_EN})\ (?:code|id|no|number)|(?:order|balance|so\ tien|so\ du)(?![a-z]))
          | (?<![a-z])(?:(?:wi-?fi\ (?:password|pass|mat\ khau)|(?:mat\ khau|mk|pass(?:word)?)\ wi-?fi)|game\ pin)
            [\s:=]{{1,3}}{_REFERENCE_VALUE}
          | (?<![a-z])(?:vua|da)\ (?:su\ dung|dung|nhap|cung\ cap)\ (?:(?:ma|ma\ so)\ )?(?:otp\ )?[0-9]{{4,8}}(?![0-9])
          | (?<![a-z])chuan\ chi[^0-9.;\n]{{0,20}}[0-9]{{4,8}}(?![0-9])
          | (?<![a-z])join\ with\ (?:code|pin)\ {_REFERENCE_VALUE}
          | (?:订单(?:号|尾号)?|优惠码|邀请码|房间密码|提取码|(?:错误|失败)代码|编号|流水号)[:为是]?\s?[a-z0-9]{{3,30}}""",
    )
)
# Nouns whose number is none, unless they belong to the name of the code: "ma xac nhan don hang 3958".
REFERENCE: Final = _compiled(
    rf"""(?<![a-z])(?:tk|tai\ khoan|stk|account|acct|a/c|gd|giao\ dich|transaction|don(?:\ dat)?(?:\ hang)?|order|dh
        |hd|hop\ dong|hoa\ don|the|card
      |hs|ho\ so|van\ don|kien(?:\ hang)?|ve|phong|room|ghe|seat|member|hoi\ vien|chuyen(?:\ bay)?|flight|id|no|case
      |ticket|kh
      |khoan\ vay|ref|nd|phieu|version|ban\ moi|buu\ cuc|lo|quay|(?:ma\ )?(?<!nhap\ )(?<!dien\ )so|number|cua|gate
      |duong|so\ nha|kho|goi\ cuoc|goi)
    (?:\ (?:so|id|no|number|moi|cua\ (?:ban
        |quy\ khach))){{0,2}}(?P<stop>\s?[:.\#=]{{0,2}}\s?)["'(]?{_REFERENCE_VALUE}"""
)
