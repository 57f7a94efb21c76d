"""Entities that are off by default: entity -> how to make a value, what people call it, argument names."""

from collections.abc import Callable
from random import Random
from typing import TypeAlias

from tests.corpora import pii_europe as eu
from tests.corpora import pii_world as world

Make: TypeAlias = Callable[[Random], str]
Entry: TypeAlias = tuple[Make, tuple[str, ...], tuple[str, ...]]


def _entry(make: Make, words: str, keys: str = "") -> list[Entry]:
    return [(make, tuple(words.split("|")) if words else (), tuple(keys.split()))]


ENTITIES: dict[str, list[Entry]] = {
    "US_ITIN": _entry(
        eu.itin, "ITIN|individual taxpayer identification number|ITIN number", "itin taxpayerItin us_itin"
    ),
    "US_EIN": _entry(
        eu.ein, "EIN|employer identification number|Federal tax ID|FEIN", "ein companyEin employer_id_ein"
    ),
    "US_MBI": _entry(eu.mbi, "", "mbi"),
    "US_NPI": _entry(eu.npi, "NPI|national provider identifier|NPI number", "npi providerNpi npi_number"),
    "MEDICAL_LICENSE": _entry(
        eu.dea, "DEA|DEA number|DEA registration|medical license", "dea deaNumber dea_registration"
    ),
    "US_ABA": _entry(
        eu.aba, "routing number|ABA|ABA routing number|RTN|bank routing", "routingNumber aba_number abaRouting"
    ),
    "US_BANK_NUMBER": _entry(
        eu.us_account,
        "bank account|account number|checking account|savings account number|acct no",
        "bankAccount account_number accountNumber",
    ),
    "US_PASSPORT": _entry(
        eu.us_passport, "passport|US passport number|passport no.|Passport #", "passport passportNumber passport_no"
    ),
    "US_DRIVER_LICENSE": _entry(
        eu.us_licence,
        "driver's license|driver license number|DL number|drivers license",
        "driverLicense drivers_license_number dlNumber",
    ),
    "UK_NHS": _entry(eu.nhs, "NHS number|NHS|NHS no", "nhs nhsNumber nhs_number"),
    "UK_NINO": _entry(eu.nino, "", "nino"),
    "UK_UTR": _entry(eu.utr, "UTR|unique taxpayer reference|UTR number", "utr companyUtr utr_number"),
    "UK_DRIVING_LICENCE": _entry(eu.uk_licence, "", "drivingLicence"),
    "ES_NIF": _entry(eu.nif, "", "nif dni"),
    "ES_NIE": _entry(eu.nie, "", "nie"),
    "IT_FISCAL_CODE": _entry(eu.codice, "", "codiceFiscale"),
    "IT_VAT_CODE": _entry(eu.iva, "partita IVA|P. IVA|P.IVA|VAT number", "partitaIva partita_iva vatNumber"),
    "FR_NIR": _entry(eu.nir, "", "nir"),
    "DE_TAX_ID": _entry(
        eu.de_tax,
        "Steuer-ID|Steueridentifikationsnummer|IdNr|Steuer-Identifikationsnummer|tax ID",
        "steuerId steuer_id taxId",
    ),
    "DE_ID_CARD": _entry(
        eu.de_card,
        "Personalausweis|Ausweisnummer|Personalausweisnummer|ID card number",
        "personalausweis ausweisNummer idCardNumber",
    ),
    "DE_PASSPORT": _entry(
        eu.de_passport, "Reisepass|Reisepassnummer|Passnummer|passport", "reisepass passnummer passportNumber"
    ),
    "DE_SOCIAL_SECURITY": _entry(eu.de_pension, "", "rentenversicherungsnummer"),
    "PL_PESEL": _entry(eu.pesel, "PESEL|numer PESEL|nr PESEL", "pesel peselNumber nr_pesel"),
    "PL_NIP": _entry(eu.pl_nip, "NIP|numer NIP", "nip companyNip"),
    "PL_ID_CARD": _entry(eu.pl_card, "dowód osobisty|numer dowodu|seria i numer dowodu", "dowodOsobisty numer_dowodu"),
    "SE_PERSONNUMMER": _entry(
        eu.personnummer, "personnummer|Personnr|personal identity number", "personnummer person_nummer"
    ),
    "FI_PERSONAL_IDENTITY_CODE": _entry(eu.hetu, "", "hetu"),
    "NO_FODSELSNUMMER": _entry(eu.fodselsnummer, "fødselsnummer|personnummer|fnr", "fodselsnummer fnr"),
    "DK_CPR": _entry(eu.cpr, "CPR|CPR-nummer|cpr nr|personnummer", "cpr cprNummer cpr_number"),
    "IS_KENNITALA": _entry(eu.kennitala, "kennitala|kt.", "kennitala"),
    "NL_BSN": _entry(eu.bsn, "BSN|burgerservicenummer|BSN-nummer", "bsn bsnNummer"),
    "BE_RRN": _entry(
        eu.be_rrn, "rijksregisternummer|numéro national|INSZ|NISS|registre national", "rijksregisternummer niss"
    ),
    "PT_NIF": _entry(eu.pt_nif, "NIF|contribuinte|número de contribuinte", "nif numeroContribuinte"),
    "CZ_RC": _entry(eu.rodne, "rodné číslo|RČ|rodne cislo", "rodneCislo rodne_cislo"),
    "CH_AHV": _entry(eu.ahv, "", "ahv"),
    "IE_PPS": _entry(eu.pps, "PPS|PPS number|PPSN", "pps ppsNumber ppsn"),
    "AT_SVNR": _entry(eu.svnr, "Sozialversicherungsnummer|SVNR|SV-Nummer", "svnr sozialversicherungsnummer"),
    "GR_AMKA": _entry(eu.amka, "AMKA|ΑΜΚΑ", "amka"),
    "RO_CNP": _entry(eu.cnp, "CNP|cod numeric personal", "cnp"),
    "BG_EGN": _entry(eu.egn, "ЕГН|EGN", "egn"),
    "HR_OIB": _entry(eu.oib, "OIB|osobni identifikacijski broj", "oib"),
    "BALTIC_PERSONAL_CODE": _entry(eu.baltic, "isikukood|asmens kodas|personal code", "isikukood asmensKodas"),
    "SI_EMSO": _entry(eu.emso, "EMŠO|EMSO", "emso"),
    "HU_TAX_ID": _entry(eu.hu_tax, "adóazonosító|adóazonosító jel", "adoazonosito"),
    "RU_INN": _entry(eu.inn, "ИНН|INN", "inn"),
    "RU_SNILS": _entry(eu.snils, "СНИЛС|SNILS", "snils"),
    "IN_AADHAAR": _entry(world.aadhaar, "Aadhaar|Aadhaar number|UIDAI|आधार", "aadhaar aadhaarNumber aadhaar_no"),
    "IN_PAN": _entry(world.pan, "", "pan"),
    "IN_VOTER": _entry(world.epic, "voter ID|EPIC|voter id number", "voterId epic_number"),
    "IN_PASSPORT": _entry(world.in_passport, "passport|Indian passport|passport number", "passport passportNumber"),
    "IN_VEHICLE_REGISTRATION": _entry(
        world.in_vehicle, "vehicle registration|registration number|vehicle no", "vehicleRegistration"
    ),
    "IN_GSTIN": _entry(world.gstin, "", "gstin"),
    "SG_NRIC_FIN": _entry(world.nric, "", "nric"),
    "KR_RRN": _entry(world.rrn, "주민등록번호|RRN|resident registration number", "rrn residentRegistrationNumber"),
    "TH_TNIN": _entry(world.thai, "เลขประจำตัวประชาชน|Thai national ID|บัตรประชาชน|TNIN", "thaiId tnin"),
    "CN_RIC": _entry(world.resident, "", "idCard"),
    "JP_MY_NUMBER": _entry(world.my_number, "マイナンバー|個人番号|My Number", "myNumber my_number"),
    "TR_TCKN": _entry(world.tckn, "TC Kimlik No|TCKN|kimlik numarası|T.C. Kimlik", "tckn tcKimlik"),
    "HK_HKID": _entry(world.hkid, "HKID|Hong Kong identity card|香港身份證", "hkid"),
    "TW_ID": _entry(world.tw_id, "", "身分證"),
    "MY_NRIC": _entry(world.mykad, "MyKad|IC number|NRIC|kad pengenalan", "mykad nricNumber"),
    "ID_NIK": _entry(world.nik, "NIK|Nomor Induk Kependudukan|KTP", "nik ktp"),
    "PK_CNIC": _entry(world.cnic, "CNIC|national identity card", "cnic"),
    "IL_ID": _entry(world.il_id, "teudat zehut|תעודת זהות|ת.ז.|Israeli ID", "teudatZehut"),
    "AE_EMIRATES_ID": _entry(world.emirates, "", "emiratesId"),
    "AU_ABN": _entry(world.abn, "ABN|Australian Business Number", "abn"),
    "AU_ACN": _entry(world.acn, "ACN|Australian Company Number", "acn"),
    "AU_TFN": _entry(world.tfn, "TFN|tax file number", "tfn taxFileNumber"),
    "AU_MEDICARE": _entry(world.medicare, "Medicare|Medicare number|Medicare card", "medicareNumber medicare"),
    "NZ_IRD": _entry(world.ird, "IRD|IRD number", "ird irdNumber"),
    "ZA_ID": _entry(world.za_id, "ID number|South African ID|SA ID|identity number", "idNumber saId"),
    "BR_CPF": _entry(world.cpf, "CPF|CPF nº|CPF do cliente", "cpf cpfCliente"),
    "BR_CNPJ": _entry(world.cnpj, "CNPJ", "cnpj"),
    "MX_CURP": _entry(world.curp, "", "curp"),
    "MX_RFC": _entry(world.rfc, "", "rfc"),
    "AR_CUIT": _entry(world.cuit, "CUIT|CUIL", "cuit cuil"),
    "CL_RUT": _entry(world.rut, "RUT|RUN", "rut"),
    "EC_CI": _entry(world.ec_ci, "cédula|cédula de identidad|CI", "cedula"),
    "CA_SIN": _entry(
        world.sin, "SIN|social insurance number|NAS|numéro d'assurance sociale", "sin socialInsuranceNumber sin_number"
    ),
    "CRYPTO": [*_entry(world.bitcoin, ""), *_entry(world.ethereum, "")],
    "IP_ADDRESS": [*_entry(world.ipv4, ""), *_entry(world.ipv6, "")],
    "MAC_ADDRESS": _entry(world.mac, ""),
    "URL": _entry(world.url, ""),
    "COORDINATES": _entry(world.point, ""),
    "DATE_OF_BIRTH": _entry(
        world.birth,
        "date of birth|DOB|born|birthday|Geburtsdatum|date de naissance|fecha de nacimiento",
        "dateOfBirth dob birth_date geburtsdatum",
    ),
    "VIN": _entry(world.vin, "VIN|chassis number|Fahrgestellnummer|FIN", "vin"),
    "IMEI": _entry(world.imei, "IMEI|IMEI number", "imei"),
    "MEDICAL_RECORD_NUMBER": _entry(
        world.record, "MRN|medical record number|patient ID", "mrn patientId medical_record_number"
    ),
}
