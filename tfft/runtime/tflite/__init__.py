"""TFLite: conversion, and files as functions without TensorFlow."""
