import unittest

from os_release import field

TEXT = "PRETTY_NAME=\"Alpine Linux v3.22\"\nNAME='Alpine Linux'\nVERSION_ID=3.22.1\n"


class Field(unittest.TestCase):
    def test_a_field_is_found_by_its_whole_name_and_loses_its_quotes(self):
        self.assertEqual(field(TEXT, "NAME"), "Alpine Linux")
        self.assertEqual(field(TEXT, "VERSION_ID"), "3.22.1")
        self.assertIsNone(field(TEXT, "VERSION"))
